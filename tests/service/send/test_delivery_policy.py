import random

import pytest

from service.config import AdvancedSettings, Destination, SendSettings
from service.send.delivery_policy import DeliveryPolicy


@pytest.mark.parametrize(("attempt", "doubled"), [(1, 10), (2, 20), (3, 40), (4, 60), (1000, 60)])
def test_the_delay_doubles_up_to_the_longest_less_up_to_a_quarter(attempt, doubled):
    policy = DeliveryPolicy.of(
        Destination(),
        SendSettings(),
        AdvancedSettings(delivery_backoff_s=10, delivery_backoff_max_s=60),
    )
    delays = [policy.delay_s(attempt, random.Random(seed)) for seed in range(50)]
    assert min(delays) >= 0.75 * doubled
    assert max(delays) <= doubled
    assert len(set(delays)) > 40


def test_a_destination_s_own_settings_stand_before_those_of_all():
    settings = SendSettings(timeout_s=20, max_attempts=7)
    assert DeliveryPolicy.of(Destination(max_attempts=3), settings, AdvancedSettings()).max_attempts == 3
    assert DeliveryPolicy.of(Destination(), settings, AdvancedSettings()).max_attempts == 7
    assert DeliveryPolicy.of(None, settings, AdvancedSettings()).timeout_s == 20

import random

import pytest

from service.config import AdvancedSettings, Destination
from service.send.delivery_policy import DeliveryPolicy


@pytest.mark.parametrize(("attempt", "doubled"), [(1, 10), (2, 20), (3, 40), (8, 1200), (1000, 1200)])
def test_the_delay_doubles_up_to_the_longest_less_up_to_a_quarter(attempt, doubled):
    policy = DeliveryPolicy.of(Destination(), AdvancedSettings(backoff_s=10))
    delays = [policy.delay_s(attempt, random.Random(seed)) for seed in range(50)]
    assert min(delays) >= 0.75 * doubled
    assert max(delays) <= doubled
    assert len(set(delays)) > 40


def test_a_destination_that_left_the_settings_is_tried_as_often_as_one_without_keys_of_its_own():
    assert DeliveryPolicy.of(None, AdvancedSettings()).destination.max_attempts == 400


@pytest.mark.parametrize(("attempt", "delay_s"), [(1, 30), (2, 60), (7, 1920), (8, 3600), (1000, 3600)])
def test_a_job_waits_twice_as_long_as_a_delivery(attempt, delay_s):
    assert AdvancedSettings().job_delay_s(attempt) == delay_s


def test_every_other_time_follows_from_the_three():
    times = AdvancedSettings()
    assert (times.heartbeat_s, times.monitor_poll_s, times.database_busy_timeout_s) == (15, 10, 30)
    assert AdvancedSettings(poll_s=60).monitor_poll_s == 60

import random

import pytest

from service.send.backoff import Backoff


@pytest.mark.parametrize(("attempt", "doubled"), [(1, 10), (2, 20), (3, 40), (4, 60), (1000, 60)])
def test_the_delay_doubles_up_to_the_longest_less_up_to_a_quarter(attempt, doubled):
    backoff = Backoff(first_s=10, longest_s=60)
    delays = [backoff.delay_s(attempt, random.Random(seed)) for seed in range(50)]
    assert min(delays) >= 0.75 * doubled
    assert max(delays) <= doubled
    assert len(set(delays)) > 40

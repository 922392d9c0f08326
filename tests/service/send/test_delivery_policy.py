import random
from types import SimpleNamespace

import pytest

from service.config import AdvancedSettings, Confirm, Destination
from service.scu.outcome import PermanentRefusal, Sent, TransientFailure
from service.send.confirmation import Committed, NotStored, Unconfirmed, confirmed_by_search
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


class Recording:
    """An outbox that remembers what it was told."""

    def __init__(self):
        self.told = []

    def __getattr__(self, name):
        def tell(_claim, **what):
            self.told.append((name, what))
            return True

        return tell


ASKED_LATER = Destination(confirm=Confirm.QUERY, confirm_s=7, max_attempts=3)
LATER = {"max_attempts": 3, "delay_s": 20}


@pytest.mark.parametrize(
    ("result", "is_sent", "told"),
    [
        (Sent(note="n"), False, ("sent", {"note": "n", "is_confirmed_later": True})),
        (Committed(how="h"), True, ("confirmed", {"how": "h"})),
        (PermanentRefusal(reason="r"), False, ("rejected", {"reason": "r"})),
        (Unconfirmed(reason="r"), True, ("unconfirmed", {"reason": "r", "max_asks": 12, "delay_s": 7})),
        (NotStored(reason="r"), True, ("retry_later", {"reason": "r", **LATER})),
        (TransientFailure(reason="r"), True, ("not_asked", {"reason": "r", **LATER})),
        (
            TransientFailure(reason="r", is_unreachable=True),
            False,
            ("retry_later", {"reason": "r", **LATER, "unreachable": True}),
        ),
        (
            TransientFailure(reason="r", retry_after_s=19),
            False,
            ("retry_later", {"reason": "r", **LATER, "unreachable": False}),
        ),
        (
            TransientFailure(reason="r", retry_after_s=21),
            False,
            ("retry_later", {"reason": "r", **LATER, "delay_s": 21, "unreachable": False}),
        ),
    ],
)
def test_each_result_of_an_attempt_has_its_own_next_step(result, is_sent, told):
    policy = DeliveryPolicy.of(ASKED_LATER, AdvancedSettings(backoff_s=10))
    longest = SimpleNamespace(uniform=lambda _low, high: high)
    outbox = Recording()
    assert policy.record(outbox, SimpleNamespace(attempt=2, is_sent=is_sent), result, longest)
    assert outbox.told == [told]


def test_without_confirmation_what_is_sent_is_the_end_of_it():
    outbox, claim = Recording(), SimpleNamespace(attempt=1, is_sent=False)
    policy = DeliveryPolicy.of(Destination(), AdvancedSettings())
    policy.record(outbox, claim, Sent(), random.Random(1))
    assert outbox.told == [("sent", {"note": "", "is_confirmed_later": False})]


def test_a_search_confirms_what_it_finds_and_says_why_it_cannot_ask():
    assert isinstance(confirmed_by_search(True), Committed)
    assert confirmed_by_search(False) == Unconfirmed(reason="it took the object but does not find it")
    later = TransientFailure(reason="busy")
    assert confirmed_by_search(later) is later
    never = confirmed_by_search(PermanentRefusal(reason="no search"))
    words = "it took the object but cannot be asked to confirm it: no search"
    assert never == PermanentRefusal(reason=words)

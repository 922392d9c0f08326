import sqlite3
import threading
import time
from functools import partial

import pytest

from service.config import Peer
from service.store import JobState
from tests.support.clock import ManualClock
from tests.support.destinations import Behaviour, data_set_of, structure_set
from tests.support.office import Office, eventually, sender, settings

pytestmark = pytest.mark.network


def test_every_destination_gets_the_set_once_and_the_job_is_done(office, start_destination):
    first, second = start_destination(), start_destination()
    job = office.delivering(1, "first", "second")
    with sender(office, settings({"first": first.peer, "second": second.peer})):
        eventually(lambda: office.state(job) is JobState.DONE)
    expected = data_set_of(structure_set("1.2.3.1.9"))
    assert [data for _, _, data in first.got] == [data for _, _, data in second.got] == [expected]


def test_a_destination_that_is_down_gets_every_set_once_when_it_is_back(office, start_destination, free_port):
    jobs = [office.delivering(number, "tps") for number in (1, 2, 3)]
    with sender(office, settings({"tps": Peer(ae_title="TPS", host="127.0.0.1", port=free_port)})):
        eventually(lambda: all("no connection" in office.book.job(job).destinations for job in jobs))
        tps = start_destination(Behaviour(port=free_port))
        eventually(lambda: all(office.state(job) is JobState.DONE for job in jobs))
    assert len(tps.got) == 3


def test_the_trouble_of_one_destination_does_not_stop_another(office, start_destination):
    hold = threading.Event()
    stuck = start_destination(Behaviour(status=lambda _: int(not hold.wait(30))))
    well = start_destination()
    jobs = [office.delivering(number, "stuck", "well") for number in (1, 2, 3)]
    with sender(office, settings({"stuck": stuck.peer, "well": well.peer}, timeout_s=60)):
        eventually(lambda: len(well.got) == 3)
        assert not any(office.state(job) is JobState.DONE for job in jobs)
        hold.set()
        eventually(lambda: all(office.state(job) is JobState.DONE for job in jobs))


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (Behaviour(status=lambda _: 0xC000), "cannot understand"),
        (Behaviour(calling_aets=("OTHER",)), "does not know the calling AE title"),
    ],
)
def test_a_permanent_refusal_is_not_tried_again_and_says_why(office, start_destination, behaviour, words):
    tps = start_destination(behaviour)
    job = office.delivering(1, "tps")
    with sender(office, settings({"tps": tps.peer})):
        eventually(lambda: office.state(job) is JobState.FAILED)
        time.sleep(0.5)
    assert len(tps.got) <= 1
    assert words in office.book.job(job).reason


def test_a_destination_that_stands_nowhere_in_the_settings_is_refused(office):
    job = office.delivering(1, "gone")
    with sender(office, settings({})):
        eventually(lambda: office.state(job) is JobState.FAILED)
    assert "gone" in office.book.job(job).reason


def test_after_the_last_attempt_the_delivery_fails(office, start_destination):
    tps = start_destination(Behaviour(status=lambda _: 0xA700))
    job = office.delivering(1, "tps")
    with sender(office, settings({"tps": tps.peer}, max_attempts=3)):
        eventually(lambda: office.state(job) is JobState.FAILED)
    assert len(tps.got) == 3
    assert "out of resources" in office.book.job(job).reason


def test_a_result_waits_for_a_database_that_is_away_and_is_not_sent_twice(office, start_destination):
    other = sqlite3.connect(office.path, isolation_level=None, check_same_thread=False)

    def take_the_database(_: object) -> int:
        other.execute("BEGIN EXCLUSIVE")
        return 0

    tps = start_destination(Behaviour(status=take_the_database))
    job = office.delivering(1, "tps")
    with sender(office, settings({"tps": tps.peer})):
        eventually(lambda: len(tps.got) == 1)
        time.sleep(2)
        other.execute("ROLLBACK")
        eventually(lambda: office.state(job) is JobState.DONE)
    other.close()
    assert len(tps.got) == 1


def test_stop_finishes_what_is_under_way_and_gives_back_the_rest(office, start_destination):
    hold = threading.Event()
    tps = start_destination(Behaviour(status=lambda _: int(not hold.wait(30))))
    jobs = [office.delivering(number, "tps") for number in (1, 2)]
    known = settings({"tps": tps.peer}, timeout_s=60)
    threading.Timer(0.5, hold.set).start()
    with sender(office, known):
        eventually(lambda: len(tps.got) == 1)
        time.sleep(0.2)
    assert [office.state(job) for job in jobs] == [JobState.DONE, JobState.DELIVERING]
    with sender(office, known):
        eventually(lambda: office.state(jobs[1]) is JobState.DONE)
    assert len(tps.got) == 2


def test_what_a_destination_warned_of_stands_in_the_job_s_history(office, start_destination):
    tps = start_destination(Behaviour(status=lambda _: 0xB000))
    job = office.delivering(1, "tps")
    with sender(office, settings({"tps": tps.peer})):
        eventually(lambda: office.state(job) is JobState.DONE)
    assert office.book.deliveries(job)[0].note == "0xB000 coercion of data elements"
    assert "sent: tps: 0xB000 coercion of data elements" in office.told(job)


def test_after_a_day_every_set_goes_out_once_by_priority_and_one_at_a_time(
    tmp_path, start_destination, free_port
):
    clock = ManualClock()
    office = Office(tmp_path, clock)
    jobs = {office.delivering(number, "tps", priority=priority): priority for number, priority in PRIORITIES}
    peer = Peer(ae_title="TPS", host="127.0.0.1", port=free_port)
    order, open_now, most = [], set(), []
    lock = threading.Lock()

    def take(event):
        with lock:
            open_now.add(event.assoc)
            most.append(len(open_now))
            order.append(str(event.request.AffectedSOPInstanceUID))
        time.sleep(0.02)
        with lock:
            open_now.discard(event.assoc)
        return 0

    def failed_again(before):
        return all(office.book.deliveries(job)[0].attempts > before[job] for job in jobs) and not any(
            one.state == "sending" for job in jobs for one in office.book.deliveries(job)
        )

    times = {"backoff_s": 15.0}
    with sender(office, settings({"tps": peer}, advanced=times)):
        for _ in range(24):  # an hour each, and nobody there
            before = {job: office.book.deliveries(job)[0].attempts for job in jobs}
            clock.tick(3600)
            eventually(partial(failed_again, before))
        tps = start_destination(Behaviour(status=take, port=free_port))
        clock.tick(1800)
        eventually(lambda: all(office.state(job) is JobState.DONE for job in jobs))
        time.sleep(0.3)
    office.close()
    assert len(tps.got) == len(set(order)) == len(PRIORITIES)
    assert max(most) == 1
    by_uid = {f"1.2.3.{number}.9": priority for number, priority in PRIORITIES}
    sent = [by_uid[uid] for uid in order]
    assert sent == sorted(sent, reverse=True)


PRIORITIES = [(1, 10), (2, 90), (3, 50), (4, 70), (5, 20), (6, 60), (7, 30), (8, 80)]


def test_an_object_that_is_not_what_was_kept_is_never_sent(office, start_destination):
    tps = start_destination()
    job = office.delivering(1, "tps")
    (made,) = office.book.artifacts(job)
    office.objects.put(made.path, office.objects.get(made.path)[:-1] + b"x")
    with sender(office, settings({"tps": tps.peer})):
        eventually(lambda: office.state(job) is JobState.FAILED)
    assert tps.got == []
    assert "its size or checksum differs" in office.told(job)


def test_a_destination_has_its_own_number_of_attempts(office, start_destination):
    tps = start_destination(Behaviour(status=lambda _: 0xA700))
    job = office.delivering(1, "tps")
    with sender(office, settings({"tps": tps.peer.model_copy(update={"max_attempts": 2})})):
        eventually(lambda: office.state(job) is JobState.FAILED)
    assert len(tps.got) == 2


def test_the_fallback_gets_what_the_destination_refuses_and_the_job_says_so(office, start_destination):
    tps = start_destination(Behaviour(status=lambda _: 0xC000))
    pacs = start_destination()
    job = office.delivering(1, "tps", standby=[("pacs", "tps")])
    with sender(office, settings({"tps": tps.peer, "pacs": pacs.peer})):
        eventually(lambda: office.state(job) is JobState.DONE)
    assert len(pacs.got) == 1
    assert "tps rejected: 0xC000" in office.book.job(job).reason
    assert "its fallback has it" in office.book.job(job).reason
    assert "it goes to pacs instead" in office.told(job)

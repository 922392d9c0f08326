from service.store import Alarm, EventKind, Heartbeats, JobState, NotificationQueue
from tests.support.arrivals import Node

EVENTS = {EventKind.FAILED: "failed", EventKind.REFUSED: "refused"}
WANTED = {"physics": {"failed", "refused", "disk"}, "it": {"disk"}}
DISK = Alarm(subject="disk", event="disk", text="disk: 5 bytes are free")


def due(
    board: NotificationQueue, target: str = "physics", min_interval_s: float = 0
) -> list[tuple[str, str]]:
    return [(one.event, one.text) for one in board.due(target, min_interval_s=min_interval_s, limit=100)]


def test_what_happened_before_the_first_look_is_told_to_nobody(node: Node) -> None:
    node.job_in(JobState.REFUSED)
    board = NotificationQueue(node.database)
    board.begin()
    board.note_events(EVENTS, WANTED)
    assert due(board) == []


def test_an_event_is_noted_once_for_each_who_asks_for_it(node: Node) -> None:
    board = NotificationQueue(node.database)
    board.begin()
    job_id = node.job_in(JobState.FAILED)
    for _ in range(2):
        NotificationQueue(node.database).begin()  # another start of the watch
        board.note_events(EVENTS, WANTED)
    (notification,) = board.due("physics", min_interval_s=0, limit=100)
    assert (notification.job_id, notification.rule, notification.state) == (job_id, "hn", "failed")
    assert notification.text == "attempt 1 of 1: broken"
    assert due(board, "it") == []


def test_what_was_not_sent_stays_and_is_due_again_later(node: Node) -> None:
    board = NotificationQueue(node.database)
    board.begin()
    node.job_in(JobState.REFUSED)
    board.note_events(EVENTS, WANTED)
    board.not_sent(board.due("physics", min_interval_s=0, limit=100), reason="no connection", delay_s=30)
    assert due(board) == []
    assert board.unsent() == {"physics": 1}
    node.clock.tick(31)
    again = board.due("physics", min_interval_s=0, limit=100)
    assert [(one.text, one.attempts) for one in again] == [("no rule matches", 1)]
    board.sent(again)
    assert board.unsent() == {}


def test_what_comes_soon_after_a_message_waits_for_the_next(node: Node) -> None:
    board = NotificationQueue(node.database)
    board.note_alarms([DISK], WANTED)
    board.sent(board.due("it", min_interval_s=300, limit=100))
    node.clock.tick(10)
    board.note_alarms([], WANTED)
    assert due(board, "it", 300) == []
    node.clock.tick(291)
    (over,) = due(board, "it", 300)
    assert over == ("disk", "over: disk (since 2030-01-02 03:04:05+00:00)")


def test_an_alarm_is_told_when_it_begins_and_when_it_ends_also_across_a_restart(node: Node) -> None:
    for _ in range(3):
        NotificationQueue(node.database).note_alarms([DISK], WANTED)
    board = NotificationQueue(node.database)
    assert due(board, "it") == [("disk", "disk: 5 bytes are free")]
    board.note_alarms([], WANTED)
    board.note_alarms([], WANTED)
    assert [text[:10] for _, text in due(board, "it")] == ["disk: 5 by", "over: disk"]
    board.note_alarms([DISK], WANTED)
    assert len(due(board, "it")) == 3


def test_sent_notices_are_forgotten_after_a_month_and_unsent_ones_never(node: Node) -> None:
    board = NotificationQueue(node.database)
    board.note_alarms([DISK], WANTED)
    board.sent(board.due("it", min_interval_s=0, limit=100))
    node.clock.tick(31 * 86400)
    board.forget_old()
    assert board.unsent() == {"physics": 1}
    assert board.due("it", min_interval_s=10**9, limit=1) == []


def test_a_sign_of_life_is_one_row_a_process_and_goes_with_it(node: Node) -> None:
    heartbeats = Heartbeats(node.database)
    heartbeats.beat("work")
    began = node.clock.now
    node.clock.tick(15)
    heartbeats.beat("work")
    heartbeats.beat("send")
    work, send = sorted(heartbeats.all(), key=lambda sign: sign.role, reverse=True)
    assert (work.started_at, work.at, send.started_at) == (began, node.clock.now, node.clock.now)
    heartbeats.retire("work")
    assert [sign.role for sign in heartbeats.all()] == ["send"]
    node.clock.tick(8 * 86400)
    heartbeats.forget_old()
    assert heartbeats.all() == []

"""Images that are refused by the receiver can be seen: in the health, in a message, in a metric."""

import struct

import pytest

from service.config import NotifyEvent
from service.monitor.alarms import alarms
from service.monitor.checks import check_refused_images
from service.monitor.node_status import NodeStatus
from service.store.monitoring.queue_statistics import read_queue_statistics
from tests.service.receive.client import RawPeer
from tests.service.receive.conftest import Node, settings, start_node
from tests.service.receive.samples import EXPLICIT, ct_slice, encoded

__all__ = ["start_node"]
pytestmark = pytest.mark.network


def send_broken(node: Node, numbers: range, calling: str = "SCANNER") -> None:
    with RawPeer(node.port) as peer:
        peer.associate(calling=calling)
        for number in numbers:
            ds = ct_slice(number)
            del ds.SeriesInstanceUID
            data = encoded(ds, EXPLICIT)
            assert peer.store(data, sop_instance_uid=ds.SOPInstanceUID).Status == 0xC000
        peer.release()


def test_they_are_counted_by_sender_and_reason(start_node) -> None:
    node = start_node()
    send_broken(node, range(1, 4))
    send_broken(node, range(4, 6))
    send_broken(node, range(6, 7), calling="OTHER")
    node.audited()
    found = read_queue_statistics(node.database).refused
    reason = "answered 0xC000: Series Instance UID (0020,000E) is missing"
    assert {(one.sender, one.address, one.reason, one.count) for one in found} == {
        ("SCANNER", "127.0.0.1", reason, 5),
        ("OTHER", "127.0.0.1", reason, 1),
    }
    check = check_refused_images(found)
    assert (check.ok, check.needed) == (False, False)
    assert f"5 images of SCANNER (127.0.0.1) refused: {reason}" in check.reason
    assert f"1 image of OTHER (127.0.0.1) refused: {reason}" in check.reason


def test_nothing_refused_is_no_alarm(start_node) -> None:
    node = start_node()
    node.audited()
    assert check_refused_images(read_queue_statistics(node.database).refused).ok


def test_a_sender_that_makes_up_reasons_fills_no_trail(start_node) -> None:
    node = start_node()
    with RawPeer(node.port) as peer:
        peer.associate()
        for number in range(1, 40):
            ds = ct_slice(number)
            data = encoded(ds, EXPLICIT) + struct.pack("<HH2sH", 0x7FE1, number, b"\4\0", 0)
            assert peer.store(data, sop_instance_uid=ds.SOPInstanceUID).Status == 0xC000
        peer.release()
    events = node.audited()
    assert len(events) <= 6
    assert sum(event.instance_count for event in events) == 39


def test_a_message_says_how_many_whose_and_why(start_node) -> None:
    node = start_node()
    send_broken(node, range(1, 3))
    node.audited()
    view = _view(node)
    (alarm,) = [one for one in alarms(settings(), view, ()) if one.event == NotifyEvent.IMAGES_REFUSED]
    assert alarm.text.startswith(
        "2 images of SCANNER (127.0.0.1) refused: answered 0xC000: Series Instance UID"
    )


def _view(node: Node) -> NodeStatus:
    from service.config import Settings
    from service.monitor.monitor import read_database_status
    from service.rules import RuleBook

    database_status = read_database_status(node.database, RuleBook(Settings(), node.database))
    return NodeStatus(
        at=node.database.clock(), checks=(), database_status=database_status, disk=None, echoes=()
    )

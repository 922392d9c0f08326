"""Requests as systems in use write them, against the standard or beside it: what DCMTK's storescp serves is served."""

import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from inference.ports import free_port
from tests.service.receive.client import RawPeer, pdvs
from tests.service.receive.raw_requests import (
    APPLICATION_CONTEXT,
    CLASS_UID,
    CONTEXTS,
    MAXIMUM,
    VERIFICATION,
    VERSION,
    association,
    command,
    context,
    element,
    item,
    u16,
)
from tests.service.receive.samples import CT, EXPLICIT, IMPLICIT, ct_slice, encoded

pytestmark = pytest.mark.network
STORESCP = Path("/usr/bin/storescp")
ROLE = struct.pack(">H", len(CT)) + CT.encode()


def user(*items: bytes) -> bytes:
    return association(user=MAXIMUM + CLASS_UID + b"".join(items))


def numbered(first: int, second: int) -> bytes:
    return association(
        contexts=[
            context(first, CT.encode(), EXPLICIT.encode()),
            context(second, VERIFICATION.encode(), IMPLICIT.encode()),
        ]
    )


SERVED = {
    "plain": association(),
    "titles padded with NUL": association(
        called=b"NODE".ljust(16, b"\0"), calling=b"SCANNER".ljust(16, b"\0")
    ),
    "titles padded with both": association(called=b"NODE\0          \0", calling=b"SCANNER \0\0 \0\0\0\0\0"),
    "spaces in front": association(called=b"   NODE".ljust(16), calling=b"  SCANNER".ljust(16)),
    "a title with something behind NUL": association(calling=b"SCANNER\0garbage!"),
    "a title in Latin-1": association(calling=b"SC\xc4NNER".ljust(16)),
    "a title with a line feed": association(calling=b"SC\nNNER".ljust(16)),
    "a title with a backslash": association(calling=b"SC\\NNER".ljust(16)),
    "an unknown sub-item": user(VERSION, item(0x5A, b"abc")),
    "an unknown sub-item in front": association(user=item(0xFF, b"") + MAXIMUM + CLASS_UID),
    "sub-item 0": user(item(0, b"xy"), VERSION),
    "a version name of 20": user(item(0x55, b"V" * 20)),
    "a version name of 64": user(item(0x55, b"V" * 64)),
    "no version name": user(item(0x55, b"")),
    "a version name in Latin-1": user(item(0x55, b"\xfcber")),
    "no user information": association(user=None),
    "empty user information": association(user=b""),
    "user information twice": association(user=MAXIMUM, rest=item(0x50, CLASS_UID)),
    "no maximum length": association(user=CLASS_UID),
    "a maximum length of two bytes": association(user=item(0x51, b"\0\1") + CLASS_UID),
    "no implementation class": association(user=MAXIMUM),
    "a class that is no UID": association(user=MAXIMUM + item(0x52, b"not a uid")),
    "an asynchronous window of one byte": user(item(0x53, b"\0")),
    "roles that are none": user(item(0x54, ROLE + b"\7\5")),
    "a role": user(item(0x54, ROLE + b"\1\0")),
    "extended negotiation": user(item(0x56, ROLE + b"\1\0\2")),
    "common extended negotiation cut off": user(item(0x57, b"abc")),
    "an identity of kind 9": user(item(0x58, b"\x09\0\0\3joe\0\0")),
    "an identity": user(item(0x58, b"\1\1\0\3joe\0\0")),
    "even numbers": numbered(2, 4),
    "number 0": numbered(0, 3),
    "number 255": numbered(255, 3),
    "a number twice": association(contexts=[*CONTEXTS, context(1, VERIFICATION.encode(), IMPLICIT.encode())]),
    "200 contexts": association(
        contexts=[*CONTEXTS, *(context(n, CT.encode(), EXPLICIT.encode()) for n in range(5, 205))]
    ),
    "a UID padded with NUL": association(
        contexts=[context(1, CT.encode() + b"\0", EXPLICIT.encode() + b"\0"), CONTEXTS[1]]
    ),
    "an unknown item in a context": association(
        contexts=[
            item(
                0x20,
                b"\1\0\0\0" + item(0x30, CT.encode()) + item(0x77, b"zz") + item(0x40, EXPLICIT.encode()),
            ),
            CONTEXTS[1],
        ]
    ),
    "a context without abstract syntax": association(
        contexts=[*CONTEXTS, item(0x20, b"\5\0\0\0" + item(0x40, EXPLICIT.encode()))]
    ),
    "an abstract syntax of no letters": association(
        contexts=[*CONTEXTS, context(5, b"\xff\xfe", EXPLICIT.encode())]
    ),
    "a transfer syntax that is no UID": association(
        contexts=[context(1, CT.encode(), b"hello", EXPLICIT.encode()), CONTEXTS[1]]
    ),
    "an unknown item": association(rest=item(0x99, b"zz")),
    "an unknown item in front": association(application=item(0x99, b"zz") + item(0x10, APPLICATION_CONTEXT)),
    "zeros behind": association(rest=bytes(8)),
    "reserved bytes": association(reserved=b"\7" * 32),
    "protocol version 3": association(version=3),
}
REFUSED = {
    "protocol version 2": (association(version=2), (3, 1, 2, 2)),
    "another application": (association(application=item(0x10, b"1.2.3")), (3, 1, 1, 2)),
    "no application": (association(application=b""), (3, 1, 1, 2)),
    "another title": (association(called=b"NODE2".ljust(16)), (3, 1, 1, 7)),
    "a title that begins with NUL": (association(called=b"\0NODE".ljust(16)), (3, 1, 1, 7)),
    "no calling title": (association(calling=bytes(16)), (3, 1, 1, 3)),
    "an item cut off": (association(rest=item(0x99, b"zz", length=100)), (7, 0, 2, 6)),
    "a sub-item cut off in a context": (
        association(contexts=[item(0x20, b"\1\0\0\0" + item(0x30, b"1.2", length=9))]),
        (7, 0, 2, 6),
    ),
    "a context of two bytes": (association(contexts=[item(0x20, b"\1\0")]), (7, 0, 2, 6)),
}


def accepted(pdu: bytes) -> dict[int, int]:
    """Gives the result by context number of an A-ASSOCIATE-AC."""
    results, at = {}, 74
    while at + 4 <= len(pdu):
        kind, _, length = struct.unpack_from(">BBH", pdu, at)
        if kind == 0x21:
            results[pdu[at + 4]] = pdu[at + 6]
        at += 4 + length
    return results


def answers(port: int, request: bytes, number: int = 1, echo: int = 3) -> list[tuple[int, int]]:
    """Gives the statuses of a C-STORE and a C-ECHO over an association that is asked for like this."""
    with RawPeer(port) as peer:
        peer.socket.sendall(request)
        kind, pdu = peer.pdu()
        assert kind == 2, pdu[:16].hex()
        assert {accepted(pdu)[number], accepted(pdu)[echo]} == {0}
        statuses = []
        for context_id, fields, data in ((number, store_fields(), DATA), (echo, ECHO, b"")):
            message = pdvs(context_id, command(*fields), is_command=True)
            peer.socket.sendall(message + (pdvs(context_id, data, is_command=False) if data else b""))
            response = peer.response()
            statuses.append((response.CommandField, response.Status))
        peer.release()
    return statuses


SLICE = ct_slice()
DATA = encoded(SLICE, EXPLICIT)
UID = SLICE.SOPInstanceUID.encode() + b"\0" * (len(SLICE.SOPInstanceUID) % 2)
ECHO = (
    element(2, b"1.2.840.10008.1.1\0"),
    element(0x100, u16(0x30)),
    element(0x110, u16(9)),
    element(0x800, u16(0x101)),
)


def store_fields(**changes: bytes) -> list[bytes]:
    """Gives the elements of a C-STORE-RQ, some of them others."""
    fields = {
        "sop_class": element(2, CT.encode() + b"\0"),
        "field": element(0x100, u16(1)),
        "message_id": element(0x110, u16(7)),
        "priority": element(0x700, u16(0)),
        "kind": element(0x800, u16(1)),
        "instance": element(0x1000, UID),
    }
    return list((fields | changes).values())


@pytest.fixture(scope="module")
def storescp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a storescp of DCMTK."""
    if not STORESCP.exists():
        pytest.skip("DCMTK is not installed: apt-get install dcmtk")
    port = free_port()
    command_line = [
        STORESCP,
        "-od",
        tmp_path_factory.mktemp("dcmtk"),
        "+xa",
        "-aet",
        "NODE",
        "--fork",
        str(port),
    ]
    process = subprocess.Popen(command_line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(10)


NUMBERS = {"even numbers": (2, 4), "number 0": (0, 3), "number 255": (255, 3)}


@pytest.mark.parametrize("name", SERVED)
def test_an_association_is_served_as_dcmtk_serves_it(node, storescp, name):
    expected = [(0x8001, 0), (0x8030, 0)]
    assert answers(storescp, SERVED[name], *NUMBERS.get(name, ())) == expected
    assert answers(node.port, SERVED[name], *NUMBERS.get(name, ())) == expected


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_request_or_for_another_is_refused(node, name):
    request, expected = REFUSED[name]
    with RawPeer(node.port) as peer:
        peer.socket.sendall(request)
        kind, pdu = peer.pdu()
    assert (kind, *pdu[7:10]) == expected


def test_a_title_is_kept_in_plain_letters(node):
    for calling in (b"SC\xc4NNER".ljust(16), b"SC\nNNER".ljust(16), b"SC\\NNER\0\0\0\0\0\0\0\0\0"):
        assert answers(node.port, association(calling=calling))[0] == (0x8001, 0)
    assert {job.calling_aet for job in node.job_rows()} == {"SC?NNER"}


def test_a_title_in_other_letters_is_none_of_the_senders(start_node):
    node = start_node(senders=[{"ae_title": "SCANNER"}])
    for calling in (b"SCANNER".ljust(16, b"\0"), b"SCANNER\0X".ljust(16)):
        assert answers(node.port, association(calling=calling))[0] == (0x8001, 0)
    with RawPeer(node.port) as peer:
        peer.socket.sendall(association(calling=b"SCANNE\xd2".ljust(16)))
        kind, pdu = peer.pdu()
    assert (kind, *pdu[7:10]) == (3, 1, 1, 3)


def test_the_answer_repeats_titles_and_reserved_bytes(node):
    request = association(called=b"NODE".ljust(16, b"\0"), reserved=bytes(range(32)))
    with RawPeer(node.port) as peer:
        peer.socket.sendall(request)
        kind, pdu = peer.pdu()
    assert (kind, pdu[10:74]) == (2, request[10:74])


COMMANDS = {
    "no group length": command(*store_fields())[12:],
    "a wrong group length": command(*store_fields(), group_length=9999),
    "a Message ID of four bytes": command(*store_fields(message_id=element(0x110, b"\7\0\0\0"))),
    "an element of group 0008": command(*store_fields(), element(0x10, b"ab", group=8)),
    "two zeros behind": command(*store_fields()) + bytes(2),
    "eight zeros behind": command(*store_fields()) + bytes(8),
    "a UID padded with a space": command(*store_fields(sop_class=element(2, CT.encode() + b" "))),
    "Data Set Type 0": command(*store_fields(kind=element(0x800, u16(0)))),
    "a retired element": command(element(1, bytes(4)), *store_fields()),
    "a move originator": command(*store_fields(), element(0x1030, b"PACS"), element(0x1031, u16(3))),
}


def exchange(port: int, data: bytes, responses: int) -> list[tuple[int, int, int]]:
    """Gives Command Field, status and Message ID Being Responded To of the responses to these bytes."""
    with RawPeer(port) as peer:
        peer.socket.sendall(association())
        assert peer.pdu()[0] == 2
        peer.socket.sendall(data)
        found = []
        for _ in range(responses):
            one = peer.response()
            found.append((one.CommandField, one.Status, one.MessageIDBeingRespondedTo))
        return found


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_understood_as_dcmtk_understands_it(node, storescp, name):
    message = pdvs(1, COMMANDS[name], is_command=True) + pdvs(1, DATA, is_command=False)
    message += pdvs(3, command(*ECHO), is_command=True)
    expected = [(0x8001, 0, 7), (0x8030, 0, 9)]
    assert exchange(storescp, message, 2) == expected
    assert exchange(node.port, message, 2) == expected


@pytest.mark.parametrize(
    "cancel",
    [
        command(element(0x100, u16(0xFFF)), element(0x120, u16(7)), element(0x800, u16(0x101))),
        command(
            element(0x100, u16(0xFFF)),
            element(0x110, u16(7)),
            element(0x120, u16(7)),
            element(0x800, u16(0x101)),
        ),
        command(element(0x100, u16(0xFFF)), element(0x120, u16(7))),
    ],
)
def test_a_cancel_has_no_answer_and_ends_nothing(node, cancel):
    """PS3.7 9.3.2.3: a C-CANCEL-RQ has no Message ID of its own, and no response."""
    message = pdvs(1, cancel, is_command=True) + pdvs(3, command(*ECHO), is_command=True)
    assert exchange(node.port, message, 1) == [(0x8030, 0, 9)]

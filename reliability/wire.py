"""DICOM's upper layer by hand (PS3.8 9.3, PS3.7 6.3), so that a trial can send anything and record each answer."""

import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

VERIFICATION = "1.2.840.10008.1.1"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)
STORE_CONTEXT, ECHO_CONTEXT = 1, 3
_PDV_BYTES = 16000
_AFFECTED_CLASS, _AFFECTED_INSTANCE = 0x0002, 0x1000
_STATUS = 0x0900

Context = tuple[int, str, Sequence[str]]


class ConnectionBroken(Exception):
    """The connection ended, or was aborted, before the complete answer had arrived."""


class NoAnswer(Exception):
    """The connection is open, but no answer arrived in time."""


def item(kind: int, body: bytes) -> bytes:
    """Return an item of an association PDU."""
    return struct.pack(">BBH", kind, 0, len(body)) + body


def pdu(kind: int, body: bytes) -> bytes:
    """Return a complete PDU."""
    return struct.pack(">BBL", kind, 0, len(body)) + body


def presentation_context(context: Context) -> bytes:
    """Return the item of a proposed presentation context."""
    number, abstract_syntax, transfer_syntaxes = context
    syntaxes = b"".join(item(0x40, uid.encode()) for uid in transfer_syntaxes)
    return item(0x20, bytes([number, 0, 0, 0]) + item(0x30, abstract_syntax.encode()) + syntaxes)


def user_information(maximum_pdu_bytes: int = 65536) -> bytes:
    """Return the user information item with the two sub-items that everybody sends."""
    return item(0x50, item(0x51, struct.pack(">L", maximum_pdu_bytes)) + item(0x52, b"1.2.3.4"))


def associate_request(contexts: Sequence[Context], *, called: str, calling: str) -> bytes:
    """Return an A-ASSOCIATE-RQ."""
    return associate_request_of([presentation_context(context) for context in contexts], called, calling)


def associate_request_of(contexts: Sequence[bytes], called: str, calling: str) -> bytes:
    """Return an A-ASSOCIATE-RQ with any bytes as presentation context items."""
    head = struct.pack(">HH16s16s32x", 1, 0, called.ljust(16).encode(), calling.ljust(16).encode())
    body = [head, item(0x10, APPLICATION_CONTEXT.encode()), *contexts, user_information()]
    return pdu(ASSOCIATE_RQ, b"".join(body))


def pdv(context_id: int, control: int, data: bytes) -> bytes:
    """Return a presentation data value; ``control`` bit 0: command, bit 1: last."""
    return struct.pack(">LBB", len(data) + 2, context_id, control) + data


def data_pdus(context_id: int, data: bytes, *, is_command: bool, size: int = _PDV_BYTES) -> list[bytes]:
    """Return a command or dataset as P-DATA-TF PDUs of one value each."""
    starts = range(0, max(1, len(data)), size)
    last = starts[-1]
    return [
        pdu(DATA, pdv(context_id, int(is_command) | 2 * (start == last), data[start : start + size]))
        for start in starts
    ]


def command(elements: Sequence[tuple[int, bytes]]) -> bytes:
    """Return a command set in implicit VR little endian, with its group length first."""
    body = b"".join(struct.pack("<HHL", 0, element, len(value)) + value for element, value in elements)
    return struct.pack("<HHLL", 0, 0, 4, len(body)) + body


def store_command(sop_class_uid: str, sop_instance_uid: str, message_id: int = 1) -> bytes:
    """Return a C-STORE-RQ."""
    return command(
        [
            (_AFFECTED_CLASS, _padded(sop_class_uid)),
            (0x0100, struct.pack("<H", 0x0001)),
            (0x0110, struct.pack("<H", message_id)),
            (0x0700, struct.pack("<H", 2)),
            (0x0800, struct.pack("<H", 1)),
            (_AFFECTED_INSTANCE, _padded(sop_instance_uid)),
        ]
    )


def echo_command() -> bytes:
    """Return a C-ECHO-RQ."""
    return command(
        [
            (_AFFECTED_CLASS, _padded(VERIFICATION)),
            (0x0100, struct.pack("<H", 0x0030)),
            (0x0110, struct.pack("<H", 7)),
            (0x0800, struct.pack("<H", 0x0101)),
        ]
    )


class WirePeer:
    """One connection of a sender; every method raises ConnectionBroken or NoAnswer."""

    def __init__(self, port: int, *, timeout_s: float = 30.0) -> None:
        try:
            self.socket = socket.create_connection(("127.0.0.1", port), timeout_s)
        except OSError as error:
            raise ConnectionBroken(str(error)) from error
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        """Return the peer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self.socket.close()

    def associate(self, *, called: str, calling: str, transfer_syntax_uid: str = EXPLICIT) -> None:
        """Propose CT Image Storage as context 1 and Verification as context 3; both must be accepted."""
        contexts = (
            (STORE_CONTEXT, CT_IMAGE, (transfer_syntax_uid,)),
            (ECHO_CONTEXT, VERIFICATION, (IMPLICIT,)),
        )
        self.send(associate_request(contexts, called=called, calling=calling))
        kind, body = self.read_pdu()
        if kind != ASSOCIATE_AC:
            raise ConnectionBroken(f"PDU {kind} instead of an acceptance: {body[:8].hex()}")

    def store(self, sop_instance_uid: str, data_set: bytes) -> int:
        """Send a C-STORE and return the status of the response."""
        message = data_pdus(STORE_CONTEXT, store_command(CT_IMAGE, sop_instance_uid), is_command=True)
        message += data_pdus(STORE_CONTEXT, data_set, is_command=False)
        self.send(b"".join(message))
        return self.status()

    def echo(self) -> int:
        """Send a C-ECHO and return the status of the response."""
        self.send(b"".join(data_pdus(ECHO_CONTEXT, echo_command(), is_command=True)))
        return self.status()

    def release(self) -> None:
        """Release the association; it does not matter if the peer is gone already."""
        with suppress(ConnectionBroken, NoAnswer):
            self.send(pdu(RELEASE_RQ, bytes(4)))
            self.read_pdu()

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        try:
            self.socket.sendall(data)
        except TimeoutError as error:
            raise NoAnswer("the peer accepts no more bytes") from error
        except OSError as error:
            raise ConnectionBroken(str(error)) from error

    def status(self) -> int:
        """Return the status of the next response."""
        kind, body = self.read_pdu()
        if kind != DATA:
            raise ConnectionBroken(f"PDU {kind} instead of an answer: {body[:8].hex()}")
        return status_of(body[6:])

    def read_pdu(self) -> tuple[int, bytes]:
        """Return the type and body of the next PDU."""
        kind, _, length = struct.unpack(">BBL", self._exactly(6))
        return kind, self._exactly(length)

    def _exactly(self, size: int) -> bytes:
        got = bytearray()
        while len(got) < size:
            try:
                piece = self.socket.recv(size - len(got))
            except TimeoutError as error:
                raise NoAnswer(f"{len(got)} of {size} bytes arrived") from error
            except OSError as error:
                raise ConnectionBroken(str(error)) from error
            if not piece:
                raise ConnectionBroken(f"closed after {len(got)} of {size} bytes")
            got += piece
        return bytes(got)


def status_of(command_set: bytes) -> int:
    """Return Status (0000,0900) from a response's command set."""
    place = 0
    while place + 8 <= len(command_set):
        group, element, length = struct.unpack_from("<HHL", command_set, place)
        if (group, element) == (0, _STATUS):
            return int(struct.unpack_from("<H", command_set, place + 8)[0])
        place += 8 + length
    raise ConnectionBroken("a response without a status")


def _padded(uid: str) -> bytes:
    return uid.encode() + b"\0" * (len(uid) % 2)

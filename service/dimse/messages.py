"""P-DATA in both directions (PS3.8 9.3.5): complete commands, and datasets as a stream of fragments."""

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from service.dimse import commands
from service.dimse.wire import ConnectionLost, SocketReader

_PDU_HEADER, _PDV_HEADER = struct.Struct(">BBL"), struct.Struct(">LBB")
_COMMAND_BYTES = 16 * 1024
_PIECE_BYTES = 1 << 20  # of a dataset; an ordinary CT slice fits in one


class Pdu(IntEnum):
    """PDU types (PS3.8 9.3)."""

    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    ASSOCIATE_RJ = 3
    DATA = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7


class AbortReason(IntEnum):
    """The provider's reason for an abort (PS3.8 Table 9-26)."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    INVALID_PDU_PARAMETER = 6


class ProtocolError(Exception):
    """The peer broke the upper layer protocol; the association is to be aborted with ``reason``."""

    def __init__(self, reason: AbortReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ReleaseRequested(Exception):
    """The peer requests an orderly release."""


RELEASE_RESPONSE = struct.pack(">BBLL", Pdu.RELEASE_RP, 0, 4, 0)


def encode_abort(reason: AbortReason) -> bytes:
    """Return the A-ABORT PDU of the service provider."""
    return struct.pack(">BBLBBBB", Pdu.ABORT, 0, 4, 0, 0, 2, reason)


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """The longest silence of a peer between messages and within one."""

    idle_s: float
    stalled_s: float


class Messages:
    """The DIMSE messages of one established association, in order."""

    def __init__(
        self, connection: socket.socket, reader: SocketReader, timeouts: Timeouts, *, maximum_pdu_bytes: int
    ) -> None:
        self._connection = connection
        self._reader = reader
        self._timeouts = timeouts
        self._maximum_pdu_bytes = maximum_pdu_bytes or 0xFFFFFFFF
        self._left_in_pdu = 0
        self._buffer: memoryview | None = None

    def next_request(self) -> tuple[int, commands.DimseRequest]:
        """Return the next command and the number of its presentation context.

        Raises:
            ReleaseRequested: the peer releases the association.
            ConnectionLost: the connection ended, was aborted, or was silent for too long.
            ProtocolError: the peer violated the protocol.
        """
        try:
            size, context_id, is_last = self._next_pdv(is_command=True, within_s=self._timeouts.idle_s)
            command = bytearray()
            while True:
                if len(command) + size > _COMMAND_BYTES:
                    raise ProtocolError(AbortReason.INVALID_PDU_PARAMETER, "endless command set")
                command += self._reader.exactly(size, within_s=self._timeouts.stalled_s)
                if is_last:
                    return context_id, commands.decode(bytes(command))
                size, context_id, is_last = self._continued(context_id, is_command=True)
        except commands.MalformedCommand as error:
            raise ProtocolError(AbortReason.INVALID_PDU_PARAMETER, str(error)) from error

    def data_set(self, context_id: int) -> Iterator[memoryview]:
        """Yield the dataset that follows a command, in large pieces; each is valid until the next is asked for.

        The fragments of an ordinary slice are joined into one piece: writing, checksum and validation cost one thread
        switch each, whatever the size.

        Raises:
            ConnectionLost: as in next_request.
            ProtocolError: as in next_request, and for a release in the middle of the dataset.
        """
        within_s = self._timeouts.stalled_s
        piece, filled, is_last = self._piece(), 0, False
        while not is_last:
            size, _, is_last = self._continued(context_id, is_command=False)
            while size:
                if filled == len(piece):
                    yield piece
                    filled = 0
                got = self._reader.into(piece[filled : filled + size], within_s=within_s)
                filled += got
                size -= got
        if filled:
            yield piece[:filled]

    def _piece(self) -> memoryview:
        """Return the buffer for datasets, allocated only when one is sent."""
        if self._buffer is None:
            self._buffer = memoryview(bytearray(_PIECE_BYTES))
        return self._buffer

    def respond(self, context_id: int, command: bytes) -> None:
        """Send a command set without a dataset, in one PDU and one write.

        Raises:
            ConnectionLost: the peer is gone.
        """
        pdv = _PDV_HEADER.pack(len(command) + 2, context_id, 3) + command
        self.send(_PDU_HEADER.pack(Pdu.DATA, 0, len(pdv)) + pdv)

    def send(self, pdu: bytes) -> None:
        """Send the bytes of a complete PDU.

        Raises:
            ConnectionLost: the peer is gone.
        """
        try:
            self._connection.sendall(pdu)
            # A sender with Nagle's algorithm on (DCMTK as shipped) holds the last bytes of each message back until the
            # earlier ones are acknowledged, and the kernel would delay that by 40 ms. Sending ends this option.
            self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        except OSError as error:
            raise ConnectionLost(f"connection lost while answering: {error}") from error

    def _continued(self, context_id: int, *, is_command: bool) -> tuple[int, int, bool]:
        try:
            size, found_id, is_last = self._next_pdv(is_command=is_command, within_s=self._timeouts.stalled_s)
        except ReleaseRequested as error:
            raise ProtocolError(AbortReason.UNEXPECTED_PDU, "release in the middle of a message") from error
        if found_id != context_id:
            raise ProtocolError(AbortReason.INVALID_PDU_PARAMETER, "one message in two presentation contexts")
        return size, found_id, is_last

    def _next_pdv(self, *, is_command: bool, within_s: float) -> tuple[int, int, bool]:
        while not self._left_in_pdu:
            self._left_in_pdu = self._data_pdu_bytes(within_s)
        if self._left_in_pdu < 6:
            raise ProtocolError(AbortReason.INVALID_PDU_PARAMETER, "a PDU ends inside a PDV's header")
        length, context_id, control = self._reader.fields(_PDV_HEADER, within_s=self._timeouts.stalled_s)
        if length < 2 or length + 4 > self._left_in_pdu:
            raise ProtocolError(AbortReason.INVALID_PDU_PARAMETER, "a PDV does not fit its PDU")
        if bool(control & 1) is not is_command:
            found, expected = ("a dataset", "a command") if is_command else ("a command", "a dataset")
            raise ProtocolError(AbortReason.UNEXPECTED_PDU, f"{found} where {expected} should follow")
        self._left_in_pdu -= length + 4
        return length - 2, context_id, bool(control & 2)

    def _data_pdu_bytes(self, within_s: float) -> int:
        kind, _, length = self._reader.fields(_PDU_HEADER, within_s=within_s)
        if kind == Pdu.DATA and length <= self._maximum_pdu_bytes:
            return int(length)
        if kind == Pdu.ABORT:
            raise ConnectionLost("aborted by the peer")
        if kind == Pdu.RELEASE_RQ:
            self._reader.exactly(min(length, 4), within_s=self._timeouts.stalled_s)
            raise ReleaseRequested
        if kind == Pdu.DATA:
            raise ProtocolError(AbortReason.INVALID_PDU_PARAMETER, f"PDU of {length} bytes, more than agreed")
        known = kind in Pdu.__members__.values()
        reason = AbortReason.UNEXPECTED_PDU if known else AbortReason.UNRECOGNIZED_PDU
        raise ProtocolError(reason, f"PDU of type {kind} inside an association")

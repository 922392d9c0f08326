"""Bytes from a socket in bounded memory: whatever length a PDU claims, no more is buffered than was asked for."""

import socket
import ssl
import struct
import time
from typing import Any

LONGEST_BYTES = 512 * 1024
_MOST_WAITS = 4
"""Waits in a row with the same limit instead of setting another: messages and the pauses between them alternate."""
_BUFFER_BYTES = 4096  # all that is allocated for a peer that never sends more than a request


class ConnectionLost(Exception):
    """The peer closed the connection, or was silent for longer than it may be."""


class SocketReader:
    """Reads one connection: headers through one small buffer, large data into the caller's buffer."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._view = memoryview(bytearray(_BUFFER_BYTES))
        self._start = 0
        self._end = 0
        self._timeout_s = 0.0
        # The kernel keeps the time and waits for everything that is asked for: one system call per read, not several.
        # With TLS, which has its own layer in between, that is not possible.
        self._waits_in_kernel = not isinstance(connection, ssl.SSLSocket)
        if self._waits_in_kernel:
            connection.settimeout(None)

    def exactly(self, size: int, *, within_s: float) -> bytes:
        """Return the next ``size`` bytes; they must all arrive within ``within_s`` seconds.

        Raises:
            ConnectionLost: the connection ended, or the time was up.
            ValueError: more was asked for than is ever buffered.
        """
        start = self._at_hand(size, within_s)
        return bytes(self._view[start : start + size])

    def fields(self, layout: struct.Struct, *, within_s: float) -> tuple[Any, ...]:
        """Return the fields of the header that comes next; otherwise like ``exactly``."""
        return layout.unpack_from(self._view, self._at_hand(layout.size, within_s))

    def _at_hand(self, size: int, within_s: float) -> int:
        """Consume the next bytes and return their position in the buffer."""
        if self._end - self._start < size:
            if size > LONGEST_BYTES:
                raise ValueError(f"{size} bytes asked for, of {LONGEST_BYTES} at most")
            self._gather(size, within_s)
        start = self._start
        self._start += size
        return start

    def into(self, target: memoryview, *, within_s: float) -> int:
        """Fill the target with the next bytes and return their number: all, unless the connection is slow.

        This is for large data: the bytes are copied only once, by the kernel.

        Raises:
            ConnectionLost: the connection ended, or nothing arrived for ``within_s`` seconds.
        """
        held = min(self._end - self._start, len(target))
        if not held:
            return self._receive(target, within_s, waits=True)
        target[:held] = self._view[self._start : self._start + held]
        self._start += held
        return held

    def _gather(self, size: int, within_s: float) -> None:
        if self._start + size > len(self._view):
            held = bytes(self._view[self._start : self._end])
            if size > len(self._view):
                self._view = memoryview(bytearray(size))
            self._view[: len(held)] = held
            self._start, self._end = 0, len(held)
        deadline = time.monotonic() + within_s
        remaining_s = within_s
        while self._end - self._start < size:
            stop = self._start + max(
                size, _BUFFER_BYTES
            )  # no more, so that into() finds the rest in the kernel
            self._end += self._receive(self._view[self._end : stop], remaining_s, waits=False)
            remaining_s = deadline - time.monotonic()

    def _receive(self, target: memoryview, within_s: float, *, waits: bool) -> int:
        """Read once: what is there or, with ``waits``, as much as fits into the target."""
        if within_s <= 0:
            raise ConnectionLost("nothing more arrived in time")
        if not self._timeout_s <= within_s <= _MOST_WAITS * self._timeout_s:
            self._allow(within_s)
        flags = socket.MSG_WAITALL if waits and self._waits_in_kernel else 0
        got, waited_s = self._read(target, flags), 0.0
        while got is None:
            waited_s += self._timeout_s
            if waited_s >= within_s:
                raise ConnectionLost(f"silent for {waited_s:.0f} s")
            got = self._read(target, flags)
        if not got:
            raise ConnectionLost("connection closed by the peer")
        return got

    def _read(self, target: memoryview, flags: int) -> int | None:
        """Return how many bytes arrived, or None if none did within the time limit."""
        try:
            return self._connection.recv_into(target, len(target), flags)
        except (TimeoutError, BlockingIOError):
            return None
        except OSError as error:
            raise ConnectionLost(f"connection lost: {error}") from error

    def _allow(self, within_s: float) -> None:
        if self._waits_in_kernel:
            whole_s, rest_s = divmod(max(within_s, 1e-3), 1)
            time_value = struct.pack("ll", int(whole_s), int(rest_s * 1e6))
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, time_value)
            if not self._timeout_s:  # a response that nobody reads: any limit will do
                self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, time_value)
        else:
            self._connection.settimeout(within_s)
        self._timeout_s = within_s

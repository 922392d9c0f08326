"""Bytes from a socket in bounded memory: whatever length a PDU claims, one fixed buffer holds what is read."""

import socket
import ssl
import struct
import time

BUFFER_BYTES = 512 * 1024
_FIRST_BUFFER_BYTES = 4096  # all that a peer gets that never sends more than a request


class PeerGone(Exception):
    """The peer closed the connection, or was silent for longer than it may be."""


class SocketReader:
    """Reads one connection through one reused buffer, small until more comes."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._view = memoryview(bytearray(_FIRST_BUFFER_BYTES))
        self._start = 0
        self._end = 0
        self._timeout_s: float | None = None
        # The kernel keeps the time and waits for all that is asked for: one system call a read instead of several.
        # TLS has a layer of its own in between and cannot.
        self._waits_in_kernel = not isinstance(connection, ssl.SSLSocket)
        if self._waits_in_kernel:
            connection.settimeout(None)

    def exactly(self, size: int, *, within_s: float) -> bytes:
        """Returns the next ``size`` bytes; they must have come within ``within_s`` seconds altogether.

        Raises:
            PeerGone: the connection ended, or the time was up.
            ValueError: more was asked for than the buffer may hold.
        """
        if size > BUFFER_BYTES:
            raise ValueError(f"{size} bytes asked of a buffer of {BUFFER_BYTES}")
        if self._end - self._start < size:
            self._gather(size, within_s)
        taken = bytes(self._view[self._start : self._start + size])
        self._start += size
        return taken

    def at_most(self, size: int, *, within_s: float) -> memoryview:
        """Returns up to ``size`` of the next bytes, all of them if the buffer has room; valid until the next read.

        Raises:
            PeerGone: the connection ended, or nothing came for ``within_s`` seconds.
        """
        if self._start == self._end:
            self._start = self._end = 0
            if size > len(self._view):
                self._view = memoryview(bytearray(BUFFER_BYTES))
        missing = min(self._start + size, len(self._view)) - self._end
        if missing > 0:
            self._receive(within_s, missing)
        stop = min(self._end, self._start + size)
        taken = self._view[self._start : stop]
        self._start = stop
        return taken

    def _gather(self, size: int, within_s: float) -> None:
        if self._start + size > len(self._view):
            held = bytes(self._view[self._start : self._end])
            if size > len(self._view):
                self._view = memoryview(bytearray(BUFFER_BYTES))
            self._view[: len(held)] = held
            self._start, self._end = 0, len(held)
        deadline = time.monotonic() + within_s
        remaining_s = within_s
        while self._end - self._start < size:
            self._receive(remaining_s)
            remaining_s = deadline - time.monotonic()

    def _receive(self, within_s: float, missing: int = 0) -> None:
        """Reads once: what is there; or, where something is missing, that and no more, waiting for all of it."""
        if within_s <= 0:
            raise PeerGone("nothing more came in time")
        flags = socket.MSG_WAITALL if missing and self._waits_in_kernel else 0
        try:
            if within_s != self._timeout_s:
                self._allow(within_s)
            got = self._connection.recv_into(self._view[self._end :], missing, flags)
        except (TimeoutError, BlockingIOError) as error:
            raise PeerGone(f"silent for {within_s:.0f} s") from error
        except OSError as error:
            raise PeerGone(f"connection lost: {error}") from error
        if not got:
            raise PeerGone("connection closed by the peer")
        self._end += got

    def _allow(self, within_s: float) -> None:
        if self._waits_in_kernel:
            whole_s, rest_s = divmod(max(within_s, 1e-3), 1)
            time_value = struct.pack("ll", int(whole_s), int(rest_s * 1e6))
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, time_value)
            if self._timeout_s is None:  # an answer that nobody takes: any limit will do
                self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, time_value)
        else:
            self._connection.settimeout(within_s)
        self._timeout_s = within_s

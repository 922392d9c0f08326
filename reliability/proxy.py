"""A TCP proxy that cuts, stalls, delays and splits what passes through it, as a bad network or `tcpkill` would."""

import select
import socket
import struct
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Self

from typing_extensions import override

_CHUNK_BYTES = 65536
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close() sends RST
_SPLIT_BYTES = 3000
_LOOK_S = 0.02


class Treatment(StrEnum):
    """What is done to a connection once a number of bytes has passed."""

    NONE = "none"
    RESET = "reset"
    CLOSE = "close"
    STALL = "stall"
    DELAY = "delay"
    SPLIT = "split"


@dataclass(frozen=True, kw_only=True)
class ConnectionCut:
    """How one connection is treated."""

    treatment: Treatment = Treatment.NONE
    after_bytes: int = 0
    seconds: float = 0.0  # of a stall before it ends in a reset, or of each delay
    of_answers: bool = False  # count what the server sends, not what the client does

    @override
    def __str__(self) -> str:
        """Return its part of a round's line."""
        where = "answers" if self.of_answers else "requests"
        return f"{self.treatment} after {self.after_bytes} bytes of {where}"


class CuttingProxy:
    """Forwards loopback connections to a port; the next connections get the treatments that were ordered."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self._orders: deque[ConnectionCut] = deque()
        self._links: set[_Link] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._thread = threading.Thread(target=self._accept, name="proxy", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port to which clients connect."""
        return int(self._listener.getsockname()[1])

    def order(self, *cuts: ConnectionCut) -> None:
        """Treat the next connections like this, one after the other."""
        self._orders.extend(cuts)

    def forget_orders(self) -> None:
        """Let all connections pass from now on."""
        self._orders.clear()

    def cut_all(self) -> int:
        """Reset every open connection, and return how many there were."""
        with self._lock:
            links = list(self._links)
        for link in links:
            link.is_cut.set()
        return len(links)

    def __enter__(self) -> Self:
        """Return the proxy itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening and cut what is open."""
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept(); close() alone would not
        self._listener.close()
        self._thread.join(5)
        self.cut_all()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            cut = self._orders.popleft() if self._orders else ConnectionCut()
            threading.Thread(target=self._serve, args=(client, cut), daemon=True).start()

    def _serve(self, client: socket.socket, cut: ConnectionCut) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self.target_port), 10)
        except OSError:
            _end(client, reset=True)
            return
        link = _Link(client, server, cut)
        with self._lock:
            self._links.add(link)
        reset = True
        try:
            reset = link.run()
        except OSError:  # one side has reset it: reset the other side too
            pass
        finally:
            for one in (client, server):
                _end(one, reset=reset)
            with self._lock:
                self._links.discard(link)


class _Link:
    """Both directions of one connection, in one thread."""

    def __init__(self, client: socket.socket, server: socket.socket, cut: ConnectionCut) -> None:
        self.is_cut = threading.Event()
        self._other = {client: server, server: client}
        self._treated = server if cut.of_answers else client
        self._cut = cut
        self._left = cut.after_bytes
        for one in self._other:
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run(self) -> bool:
        """Forward until the end; return whether that is to be a reset."""
        reading = set(self._other)
        while reading:
            ready, _, _ = select.select(reading, [], [], _LOOK_S)
            if self.is_cut.is_set():
                return True
            for source in ready:
                data = source.recv(_CHUNK_BYTES)
                if source is self._treated and self._is_over(data):
                    return self._cut.treatment is not Treatment.CLOSE
                if data:
                    self._forward(source, data)
                else:
                    reading.discard(source)
                    self._other[source].shutdown(socket.SHUT_WR)
        return False

    def _is_over(self, data: bytes) -> bool:
        """Tell whether the connection ends within these bytes; if so, those before the cut have been forwarded."""
        if self._cut.treatment not in (Treatment.RESET, Treatment.CLOSE, Treatment.STALL):
            return False
        if len(data) <= self._left:
            self._left -= len(data)
            return False
        self._other[self._treated].sendall(data[: self._left])
        if self._cut.treatment is Treatment.STALL:
            time.sleep(self._cut.seconds)
        return True

    def _forward(self, source: socket.socket, data: bytes) -> None:
        target, treatment = self._other[source], self._cut.treatment
        if treatment is Treatment.DELAY:
            time.sleep(self._cut.seconds)
        if treatment is Treatment.SPLIT and source is self._treated:
            for place in range(min(len(data), _SPLIT_BYTES)):
                target.sendall(data[place : place + 1])
            data = data[_SPLIT_BYTES:]
        target.sendall(data)


def _end(one: socket.socket, *, reset: bool) -> None:
    if reset:
        with suppress(OSError):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    one.close()

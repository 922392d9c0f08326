"""The listening socket: a thread for each connection, and room for new ones whatever the old ones do."""

import logging
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from service.config import Settings
from service.receive import sop_classes
from service.receive.admission import Admission
from service.receive.association import Association, Places, Terms
from service.receive.commitment import CommitmentReports
from service.receive.messages import Timeouts
from service.receive.storage import Storage
from service.store import Commitments, FileStore, Recorder

log = logging.getLogger(__name__)

REQUEST_TIMEOUT_S = 5.0
"""How long a connection may take to ask for an association."""
STALLED_TIMEOUT_S = 30.0
"""How long a sender may pause inside a message."""
SPARE_CONNECTIONS = 256
"""Connections beyond the limit on associations: to say no to, or that have not said what they want."""
_BACKLOG = 256


class Receiver:
    """The node's Storage and Verification SCP; with ``commitments`` it takes reports of storage commitment too."""

    def __init__(
        self,
        settings: Settings,
        files: FileStore,
        recorder: Recorder,
        *,
        commitments: Commitments | None = None,
        has_room: Callable[[], str | None] = lambda: None,
    ) -> None:
        """``has_room`` is asked before an object is taken: None, or the reason why there is no room for it."""
        receive = settings.receive
        self._terms = Terms(
            admission=Admission(
                called_aets=settings.called_aets, calling_aets=frozenset(receive.calling_aets)
            ),
            supported=sop_classes.supported(),
            timeouts=Timeouts(
                idle_s=receive.network_timeout_s, stalled_s=min(STALLED_TIMEOUT_S, receive.network_timeout_s)
            ),
            request_timeout_s=min(REQUEST_TIMEOUT_S, receive.network_timeout_s),
            maximum_pdu_bytes=receive.max_pdu_bytes,
            reports=None if commitments is None else CommitmentReports(commitments),
        )
        self._storage = Storage(
            files, recorder, maximum_object_bytes=receive.max_object_bytes, has_room=has_room
        )
        self._places = Places(receive.max_associations)
        self._limit = receive.max_associations + SPARE_CONNECTIONS
        self._lock = threading.Lock()
        self._open: dict[Association, threading.Thread] = {}
        self._is_stopping = threading.Event()
        self._listener = _bound(receive.host, receive.port)
        self._acceptor = threading.Thread(target=self._accept, name="receive-accept")

    @property
    def port(self) -> int:
        """The TCP port, also where the settings left the choice to the system."""
        return int(self._listener.getsockname()[1])

    def start(self) -> None:
        """Begins to listen; once per receiver.

        Raises:
            OSError: somebody else listens on the port.
        """
        self._listener.listen(_BACKLOG)
        self._acceptor.start()
        log.info("receiving", extra={"port": self.port})

    def stop(self, *, grace_s: float = 10.0) -> None:
        """Takes no new associations, lets the stores in hand be answered, cuts what is left after ``grace_s``."""
        self._is_stopping.set()
        if self._acceptor.is_alive():
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept(); close() alone would not
            self._acceptor.join()
        self._listener.close()
        deadline = time.monotonic() + grace_s
        for association in self._associations():
            association.stop()
        for thread in self._threads():
            thread.join(max(0.0, deadline - time.monotonic()))
        for association in self._associations():
            association.cut()
        for thread in self._threads():
            thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _accept(self) -> None:
        while not self._is_stopping.is_set():
            try:
                connection, address = self._listener.accept()
            except OSError as error:
                if not self._is_stopping.is_set():  # no file handle left, say: what is open must end first
                    log.error("cannot accept a connection", extra={"reason": str(error)})  # noqa: TRY400
                    time.sleep(0.05)
                continue
            self._begin(connection, str(address[0]))

    def _begin(self, connection: socket.socket, peer_host: str) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        association = Association(connection, peer_host, self._terms, self._storage)
        thread = threading.Thread(target=self._serve, args=(association,), name="receive-association")
        with self._lock:
            self._make_room()
            self._open[association] = thread
            thread.start()

    def _make_room(self) -> None:
        """Cuts the connection that has waited longest without an association, where there are too many."""
        if len(self._open) < self._limit:
            return
        waiting = (association for association in self._open if not association.is_established)
        oldest = next(waiting, None)
        if oldest is not None:
            oldest.cut()

    def _serve(self, association: Association) -> None:
        try:
            association.serve(self._places)
        finally:
            with self._lock:
                del self._open[association]

    def _associations(self) -> list[Association]:
        with self._lock:
            return list(self._open)

    def _threads(self) -> list[threading.Thread]:
        with self._lock:
            return list(self._open.values())


def _bound(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener

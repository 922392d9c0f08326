"""The listening sockets: one thread per connection, and a limit that idle connections cannot exhaust."""

import logging
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from service.audit import AuditWriter
from service.config import TLS_PORT, ReceiveSettings, Settings
from service.dimse import sop_classes
from service.dimse.messages import Timeouts
from service.dimse.negotiation_cache import NegotiationCache
from service.errors import Refused
from service.ports import port_named
from service.receive import object_families
from service.receive.admission import Admission
from service.receive.association import Association
from service.receive.commitment import CommitmentReports
from service.receive.context import Connection, ReceiverContext
from service.receive.limits import AssociationLimit, RateLimit
from service.receive.rejection_log import LogThrottle, RejectionLog
from service.receive.store_handler import storage_of
from service.store import Commitments, FileStore, InstanceRecorder
from service.tls import server_context

log = logging.getLogger(__name__)

REQUEST_TIMEOUT_S = 5.0
"""Time for a new connection to send its association request."""
STALLED_TIMEOUT_S = 30.0
"""Longest pause of a sender within a message."""
SPARE_CONNECTIONS = 256
"""Connections allowed beyond the limit on associations: being rejected, or still without a request."""
_BACKLOG = 256
MAXIMUM_PDU_BYTES = 262144


@dataclass(frozen=True, kw_only=True)
class _Listener:
    """A listening socket and its TLS context."""

    server_socket: socket.socket
    tls: ssl.SSLContext | None

    @property
    def port(self) -> int:
        return int(self.server_socket.getsockname()[1])


class Receiver:
    """The node's Storage and Verification SCP; with ``commitments`` it takes reports of storage commitment too."""

    def __init__(
        self,
        settings: Settings,
        files: FileStore,
        recorder: InstanceRecorder,
        trail: AuditWriter,
        *,
        commitments: Commitments | None = None,
        has_room: Callable[[], str | None] = lambda: None,
    ) -> None:
        """``has_room`` is called before an object is stored; it returns None, or the reason why there is no room."""
        receive = settings.receive
        self._host = receive.host
        rejections = RejectionLog(trail, LogThrottle())
        self._rejections = rejections
        self._receiver = ReceiverContext(
            admission=Admission(called_aets=settings.called_aets, senders=settings.senders),
            negotiations=NegotiationCache(
                sop_classes.supported(object_families.companions(receive)),
                maximum_pdu_bytes=MAXIMUM_PDU_BYTES,
            ),
            timeouts=Timeouts(
                idle_s=receive.network_timeout_s, stalled_s=min(STALLED_TIMEOUT_S, receive.network_timeout_s)
            ),
            request_timeout_s=min(REQUEST_TIMEOUT_S, receive.network_timeout_s),
            maximum_pdu_bytes=MAXIMUM_PDU_BYTES,
            associations=AssociationLimit(
                receive.max_associations, receive.max_associations_per_address, settings.known_networks
            ),
            rejections=rejections,
            trail=trail,
            reports=None if commitments is None else CommitmentReports(commitments),
        )
        self._storage = storage_of(settings, files, recorder, has_room)
        self._rate = RateLimit(receive.max_connections_per_minute)
        self._limit = receive.max_associations + SPARE_CONNECTIONS
        self._lock = threading.Lock()
        self._open: dict[Association, threading.Thread] = {}
        self._is_stopping = threading.Event()
        self._listeners = _listeners(receive)
        self._acceptors = [
            threading.Thread(target=self._accept, args=(listener,), name="receive-accept")
            for listener in self._listeners
        ]

    def answer_to(self, called_aets: frozenset[str]) -> None:
        """Answer to these AE titles from the next association on; those that are open go on."""
        admission = replace(self._receiver.admission, called_aets=called_aets)
        self._receiver = replace(self._receiver, admission=admission)

    @property
    def port(self) -> int:
        """The TCP port without TLS, or the TLS port if there is no other; valid also if the system chose it."""
        return self._listeners[0].port

    @property
    def tls_port(self) -> int | None:
        """The TCP port with TLS, if there is one."""
        return next((listener.port for listener in self._listeners if listener.tls is not None), None)

    def start(self) -> None:
        """Start listening; once per receiver.

        Raises:
            Refused: the port is in use.
        """
        for listener in self._listeners:
            with port_named(self._host, listener.port, "receive.port"):
                listener.server_socket.listen(_BACKLOG)
            log.info("receiving", extra={"port": listener.port, "tls": listener.tls is not None})
        for acceptor in self._acceptors:
            acceptor.start()

    def stop(self, *, grace_s: float = 10.0) -> None:
        """Stop accepting associations, let running C-STOREs finish, and abort the rest after ``grace_s`` seconds."""
        self._is_stopping.set()
        for listener, acceptor in zip(self._listeners, self._acceptors, strict=True):
            if acceptor.is_alive():
                listener.server_socket.shutdown(socket.SHUT_RDWR)  # wakes accept(); close() alone would not
                acceptor.join()
            listener.server_socket.close()
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

    def _accept(self, listener: _Listener) -> None:
        while not self._is_stopping.is_set():
            try:
                connection, address = listener.server_socket.accept()
            except OSError as error:
                if (
                    not self._is_stopping.is_set()
                ):  # for example no file handle left: open connections must end first
                    log.error("cannot accept a connection", extra={"reason": str(error)})  # noqa: TRY400
                    time.sleep(0.05)
                continue
            self._receive(connection, str(address[0]), listener.tls)

    def _receive(self, connection: socket.socket, host: str, tls: ssl.SSLContext | None) -> None:
        """Close connections from unknown addresses, and TLS ones over the rate, unread: no handshake is computed."""
        is_over_rate = not self._rate.allows(host)
        if not self._receiver.admission.knows_address(host):
            connection.close()
            self._rejections.record("connection closed", host, "no sender has this address")
        elif is_over_rate and tls is not None:
            connection.close()
            self._rejections.record("connection closed", host, "too many connections in a minute")
        else:
            self._begin(connection, Connection(host=host, tls=tls, is_over_rate=is_over_rate))

    def _begin(self, connection: socket.socket, accepted: Connection) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        association = Association(connection, accepted, self._receiver, self._storage)
        thread = threading.Thread(target=self._serve, args=(association,), name="receive-association")
        with self._lock:
            self._make_room()
            self._open[association] = thread
            thread.start()

    def _make_room(self) -> None:
        """At the limit, abort the oldest connection without association, from the address that has most of them."""
        if len(self._open) < self._limit:
            return
        waiting = [association for association in self._open if not association.is_established]
        if waiting:
            (crowd, _), *_ = Counter(association.host for association in waiting).most_common(1)
            next(association for association in waiting if association.host == crowd).cut()

    def _serve(self, association: Association) -> None:
        try:
            association.serve()
        finally:
            with self._lock:
                del self._open[association]

    def _associations(self) -> list[Association]:
        with self._lock:
            return list(self._open)

    def _threads(self) -> list[threading.Thread]:
        with self._lock:
            return list(self._open.values())


def _listeners(receive: ReceiveSettings) -> list[_Listener]:
    """Return the bound sockets; if one cannot be bound, all are closed."""
    tls = None
    if receive.tls is not None:
        tls = server_context(receive.tls, require_client_certificate=receive.require_client_certificate)
    listeners: list[_Listener] = []
    try:
        for setting, port in receive.ports.items():
            with port_named(receive.host, port, setting):
                bound = _bound(receive.host, port)
            listeners.append(_Listener(server_socket=bound, tls=tls if setting == TLS_PORT else None))
    except (OSError, Refused):
        for listener in listeners:
            listener.server_socket.close()
        raise
    return listeners


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

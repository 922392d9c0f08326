"""Forwarding to collectors on real sockets: UDP, TCP and TLS."""

import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from xml.etree import ElementTree

import pytest

from service.audit.forwarder import forward
from service.audit.syslog import NotForwarded
from service.config import Settings, SyslogSettings
from service.store import AuditEvent, AuditKind, AuditLog, Database
from tests.support.audit_schema import violations
from tests.support.certificates import Authority, needs_openssl

pytestmark = pytest.mark.network

HEAD = re.compile(
    rb"<85>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \S+ contour-node \d+ DICOM\+RFC3881 - \xef\xbb\xbf(<\?xml .*)"
)


@dataclass
class Collector:
    """A collector that reads octet-counted frames until its peer is done, then closes."""

    listener: socket.socket
    tls: ssl.SSLContext | None = None
    breaks_off_after: int | None = None  # bytes
    frames: list[bytes] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            try:
                with (
                    connection
                    if self.tls is None
                    else self.tls.wrap_socket(connection, server_side=True) as peer
                ):
                    self._read(peer)
            except OSError:
                continue

    def _read(self, peer: socket.socket) -> None:
        data = b""
        while piece := peer.recv(65536):
            data += piece
            if self.breaks_off_after is not None and len(data) > self.breaks_off_after:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close is a reset
                return
        while data:
            size, _, rest = data.partition(b" ")
            self.frames.append(rest[: int(size)])
            data = rest[int(size) :]


@contextmanager
def collector(tls: ssl.SSLContext | None = None, **how: object) -> Iterator[Collector]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = Collector(listener=listener, tls=tls, **how)
        thread = threading.Thread(target=found.serve)
        thread.start()
        yield found
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def settings(port: int, transport: str, **more: object) -> tuple[Settings, SyslogSettings]:
    syslog = {"host": "127.0.0.1", "port": port, "transport": transport, **more}
    whole = Settings.model_validate({"audit": {"syslog": syslog}})
    assert whole.audit.syslog is not None
    return whole, whole.audit.syslog


@pytest.fixture
def waiting(audit_log: AuditLog, database: Database) -> AuditLog:
    """A trail with three events that nobody has yet."""
    events = [AuditEvent(kind=AuditKind.LOOKED_AT, actor="phys", study_uid=f"1.2.{n}") for n in range(3)]
    audit_log.append([(database.clock(), event) for event in events])
    return audit_log


def assert_whole(frames: list[bytes]) -> None:
    """Three messages in their order, each a message of the schema behind a header of RFC 5424."""
    studies = []
    for frame in frames:
        header = HEAD.fullmatch(frame)
        assert header, frame
        root = ElementTree.fromstring(header[1])
        assert violations(root) == []
        studies.append(root.find("ParticipantObjectIdentification").get("ParticipantObjectID"))
    assert studies == ["1.2.0", "1.2.1", "1.2.2"]


def test_by_udp_each_message_is_a_datagram(waiting: AuditLog) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as repository:
        repository.bind(("127.0.0.1", 0))
        repository.settimeout(5)
        assert forward(*settings(repository.getsockname()[1], "udp"), waiting) == 3
        assert_whole([repository.recv(65536) for _ in range(3)])
    assert waiting.to_forward(10) == []


def test_by_tcp_messages_are_counted_octets(waiting: AuditLog) -> None:
    with collector() as repository:
        assert forward(*settings(repository.port, "tcp"), waiting) == 3
        assert forward(*settings(repository.port, "tcp"), waiting) == 0
    assert_whole(repository.frames)


def test_while_the_repository_is_away_events_wait_and_then_go_in_order(waiting: AuditLog) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(NotForwarded, match=f"127.0.0.1:{port} \\(tcp\\): Connection refused"):
        forward(*settings(port, "tcp"), waiting)
    assert len(waiting.to_forward(10)) == 3
    with collector() as repository:
        forward(*settings(repository.port, "tcp"), waiting)
    assert_whole(repository.frames)


def test_a_repository_that_breaks_off_gets_everything_again(waiting: AuditLog) -> None:
    with collector(breaks_off_after=100) as repository, pytest.raises(NotForwarded):
        forward(*settings(repository.port, "tcp"), waiting)
    assert len(waiting.to_forward(10)) == 3


def test_a_repository_that_never_closes_has_what_its_kernel_took(
    waiting: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.audit.syslog.ANSWER_TIMEOUT_S", 1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        whole, syslog = settings(listener.getsockname()[1], "tcp")
        assert forward(whole, syslog, waiting) == 3
        connection, _ = listener.accept()
        with connection:
            assert connection.recv(65536)
    assert waiting.to_forward(10) == []


@needs_openssl
def test_by_tls_with_both_sides_certified(waiting: AuditLog, tmp_path) -> None:
    authority = Authority(tmp_path / "ca")
    repository_identity, node = authority.issue("arr"), authority.issue("node")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(repository_identity.certificate, repository_identity.key)
    context.load_verify_locations(authority.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    stranger = Authority(tmp_path / "strangers", "Strangers CA")
    with collector(context) as repository:
        with pytest.raises(NotForwarded):  # without a certificate of its own
            forward(*settings(repository.port, "tls", tls={"ca": authority.ca}), waiting)
        with pytest.raises(NotForwarded, match="its certificate is not accepted"):
            forward(*settings(repository.port, "tls", tls={"ca": stranger.ca}), waiting)
        assert len(waiting.to_forward(10)) == 3
        tls = {"ca": authority.ca, "certificate": node.certificate, "key": node.key}
        assert forward(*settings(repository.port, "tls", tls=tls), waiting) == 3
    assert_whole(repository.frames)

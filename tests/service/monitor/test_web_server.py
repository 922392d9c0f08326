import socket
import ssl
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

from service.config import Settings, TlsSettings
from service.monitor.pages import StatusPages
from service.monitor.web_server import MOST_CONNECTIONS, MOST_REQUEST_BYTES, WebServer
from service.store import utc_now
from service.tls import server_context
from tests.support.certificates import needs_openssl

PAGES = StatusPages(settings=Settings(), last_view=lambda: None, clock=utc_now)
TIMEOUT_S = 1.0


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer(PAGES, "127.0.0.1", 0, request_timeout_s=TIMEOUT_S) as server:
        yield server


def said(server: WebServer, sent: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(sent)
        return everything(connection)


def everything(connection: socket.socket) -> bytes:
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:  # it was closed with bytes of ours unread
        pass
    return b"".join(parts)


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def test_a_page_is_one_answer_and_the_end_of_the_connection(server: WebServer) -> None:
    answer = said(server, b"GET /health/live?x=1 HTTP/1.1\r\nHost: x\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert status(answer) == 200
    assert b"Content-Length: %d" % len(body) in head
    assert b'"alive": true' in body


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"GET / HTTP/1.0\r\n\r\n", HTTPStatus.NOT_FOUND),
        (b"GET /../../etc/passwd HTTP/1.0\r\n\r\n", HTTPStatus.NOT_FOUND),
        (b"POST /metrics HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", HTTPStatus.NOT_IMPLEMENTED),
        (b"DELETE /metrics HTTP/1.0\r\n\r\n", HTTPStatus.NOT_IMPLEMENTED),
        (b"GET /<script>\x1b HTTP/1.0\r\n\r\n", HTTPStatus.NOT_FOUND),
    ],
)
def test_what_is_not_a_page_is_refused_without_repeating_it(
    server: WebServer, sent: bytes, expected: HTTPStatus
) -> None:
    answer = said(server, sent)
    assert status(answer) == expected
    assert b"script" not in answer
    assert b"passwd" not in answer


@pytest.mark.parametrize(
    "sent", [b"nonsense here and now\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\r\n"]
)
def test_what_is_no_http_is_cut_off(server: WebServer, sent: bytes) -> None:
    assert said(server, sent) == b""


def test_a_request_that_trickles_in_is_cut_off(server: WebServer) -> None:
    """A byte now and then keeps a time limit for each read for ever; ours is for the whole request."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(b"GET /health/live HTTP/1.0\r\nX: ")
        ended = threading.Event()

        def trickle() -> None:
            while not ended.wait(0.05):
                try:
                    connection.sendall(b"x")
                except OSError:
                    return

        sender = threading.Thread(target=trickle)
        sender.start()
        assert everything(connection) == b""
        ended.set()
        sender.join()
    assert status(said(server, b"GET /health/live HTTP/1.0\r\n\r\n")) == 200


def test_a_request_without_end_is_cut_off_by_its_size(server: WebServer) -> None:
    headers = b"X: " + b"x" * 1000 + b"\r\n"
    endless = b"GET /health/live HTTP/1.0\r\n" + headers * (2 * MOST_REQUEST_BYTES // len(headers))
    assert len(said(server, endless)) < 1000  # it is answered as if it ended there, or cut


def test_connections_that_say_nothing_do_not_keep_others_out_for_long(server: WebServer) -> None:
    silent = [
        socket.create_connection(("127.0.0.1", server.port), timeout=30) for _ in range(MOST_CONNECTIONS)
    ]
    turned_away = said(server, b"")
    assert turned_away == b""
    for connection in silent:
        assert everything(connection) == b""
        connection.close()
    assert status(said(server, b"GET /health/live HTTP/1.0\r\n\r\n")) == 200


@needs_openssl
def test_pages_by_tls(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    with WebServer(
        PAGES, "127.0.0.1", 0, tls=server_context(TlsSettings(certificate=certificate, key=key))
    ) as server:
        trust = ssl.create_default_context(cafile=str(certificate))
        with urllib.request.urlopen(f"https://localhost:{server.port}/health/live", context=trust) as answer:
            assert answer.status == 200
        plain = said(server, b"GET /health/live HTTP/1.0\r\n\r\n")
        assert b"alive" not in plain


def test_a_port_that_somebody_has_is_refused(server: WebServer) -> None:
    with pytest.raises(OSError, match="in use"):
        WebServer(PAGES, "127.0.0.1", server.port)

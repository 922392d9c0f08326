"""A small web server for read-only pages: GET only, few connections, strict time limits."""

import io
import logging
import socket
import ssl
import sys
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn
from types import TracebackType
from typing import Any, Self

from typing_extensions import override

from service.monitor.pages import PageResponse, StatusPages

log = logging.getLogger(__name__)

REQUEST_TIMEOUT_S = 5.0
"""How long a connection may last from its first byte to its last, the TLS handshake included."""
MOST_CONNECTIONS = 16
MOST_REQUEST_BYTES = 16384


class WebServer:
    """Serves pages on its own port, in its own threads, from ``start`` to ``stop``."""

    def __init__(
        self,
        pages: StatusPages,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        request_timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> None:
        """Bind the port; raises OSError if it is in use."""
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        self._server = _Server((host, port), family, pages, tls, request_timeout_s)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="web-server")

    @property
    def port(self) -> int:
        """The TCP port, even if the system chose it."""
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()  # waits for current requests, which are limited in time


class _Server(ThreadingMixIn, HTTPServer):
    daemon_threads = False
    block_on_close = True

    def __init__(
        self,
        address: tuple[str, int],
        family: int,
        pages: StatusPages,
        tls: ssl.SSLContext | None,
        timeout_s: float,
    ) -> None:
        self.address_family = family
        self.pages = pages
        self.tls = tls
        self.request_timeout_s = timeout_s
        self._places = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__(address, _Handler)

    @override
    def server_bind(self) -> None:
        """Bind without the reverse look-up of HTTPServer, which waits for a name server."""
        super(HTTPServer, self).server_bind()
        self.server_name, self.server_port = "contour-node", int(self.server_address[1])

    @override
    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    @override
    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    @override
    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.tls is None:
            super().finish_request(request, client_address)
            return
        request.settimeout(self.request_timeout_s)
        with self.tls.wrap_socket(request, server_side=True) as protected:
            super().finish_request(protected, client_address)

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        about = {"peer_host": client_address[0], "reason": type(sys.exception()).__name__}
        log.info("a web request failed", extra=about)


class _Handler(BaseHTTPRequestHandler):
    """One request per connection."""

    server: _Server
    server_version, sys_version = "contour-node", ""

    @override
    def setup(self) -> None:
        super().setup()
        self.rfile = io.BufferedReader(_Bounded(self.connection, self.server.request_timeout_s))

    def do_GET(self) -> None:
        """Answer with a page."""
        path = self.path.partition("?")[0]
        self._send(self.server.pages.answer(path, self.headers.get("Authorization", "")))

    @override
    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer a request that is not GET, or not HTTP, without echoing any of it."""
        self.close_connection = True
        self._send(PageResponse(status=HTTPStatus(code), content_type="text/plain", body=b""))

    @override
    def log_message(self, format: str, *args: Any) -> None:
        log.debug("web request", extra={"peer_host": self.client_address[0], "line": format % args})

    def _send(self, answer: PageResponse) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        if answer.status is HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", "Bearer")
        self.end_headers()
        self.wfile.write(answer.body)


class _Bounded(io.RawIOBase):
    """A connection's input, limited in time and size: an occasional byte does not keep it open."""

    def __init__(self, connection: socket.socket, timeout_s: float) -> None:
        self._connection = connection
        self._deadline = time.monotonic() + timeout_s
        self._left = MOST_REQUEST_BYTES

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Any) -> int:
        remaining_s = self._deadline - time.monotonic()
        if remaining_s <= 0:
            raise TimeoutError("the request took too long")
        self._connection.settimeout(remaining_s)
        view = memoryview(buffer)[: self._left]
        count = self._connection.recv_into(view) if len(view) else 0
        self._left -= count
        return count

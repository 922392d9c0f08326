"""The role web: serves the web page on its own port until it is stopped."""

import logging
import ssl
import threading

import uvicorn

from service.config import Settings
from service.tls import server_context
from service.web.app import build_app
from service.web.live import LiveJobs
from service.web.parts import WebParts

log = logging.getLogger(__name__)

MOST_REQUESTS = 200
STOP_GRACE_S = 3
DROP_EVERY_S = 30.0


class WebServerThread:
    """Runs uvicorn in a thread, so that its signal handling does not interfere with the role's."""

    def __init__(self, parts: WebParts) -> None:
        web = parts.settings.web
        context = None if web.tls is None else server_context(web.tls, of="web.tls")

        def tls(_config: object, _default: object) -> ssl.SSLContext:
            if context is None:
                raise AssertionError("asked for only with web.tls")
            return context

        config = uvicorn.Config(
            build_app(parts),
            host=web.host,
            port=web.port,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MOST_REQUESTS,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=STOP_GRACE_S,
            ssl_context_factory=None if context is None else tls,
        )
        config.install_signal_handlers = False  # type: ignore[attr-defined] # older uvicorn; Server.run in a thread sets none
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name="web-server")

    @property
    def port(self) -> int:
        """The TCP port, even if the system chose it."""
        return int(self._server.servers[0].sockets[0].getsockname()[1])

    @property
    def is_alive(self) -> bool:
        """Whether the server is still running."""
        return self._thread.is_alive()

    def start(self, timeout_s: float = 20) -> None:
        """Start serving; raises OSError if that fails, because the port is in use, say."""
        self._thread.start()
        waited = threading.Event()
        for _ in range(int(timeout_s / 0.05)):
            if self._server.started:
                return
            if not self._thread.is_alive():
                break
            waited.wait(0.05)
        raise OSError("the web page could not be served; its port may be in use (web.port)")

    def stop(self) -> None:
        """End all requests and close the port."""
        self._server.should_exit = True
        self._thread.join()


def run_web(parts: WebParts, live: LiveJobs, stop: threading.Event) -> None:
    """Serve the web page until ``stop`` is set."""
    settings: Settings = parts.settings
    server = WebServerThread(parts)
    live.start()
    try:
        server.start()
        scheme = "http" if settings.web.tls is None else "https"
        log.info("the web page is at %s://%s:%d/", scheme, settings.web.host, server.port)
        while not stop.wait(DROP_EVERY_S if server.is_alive else 0.1):
            parts.images.drop_old()
            if not server.is_alive:
                raise RuntimeError("the web server ended unexpectedly")
    finally:
        live.stop()
        server.stop()

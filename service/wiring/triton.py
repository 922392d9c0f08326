"""The role that is the embedded model server."""

import logging
import threading

from inference.embedded import EmbeddedTriton
from service.config import Settings

log = logging.getLogger(__name__)


def triton(settings: Settings, stop: threading.Event) -> None:
    """The embedded Triton server as a role, until ``stop`` is set; raises ServerNotStarted, or ends with the server."""
    server = embedded_triton(settings)
    with server:
        log.info("the model server is ready at %s", server.url)
        while server.alive() and not stop.wait(0.5):
            pass
        if not stop.is_set():
            raise RuntimeError(f"the model server ended by itself; see {server.log_file}")


def embedded_triton(settings: Settings) -> EmbeddedTriton:
    """The embedded server of these settings, not started."""
    return EmbeddedTriton(
        python_environment=settings.triton.environment,
        model_repository=settings.triton.model_repository,
        working_directory=settings.node.storage_dir / "triton",
        grpc_port=int(settings.triton.url.rpartition(":")[2]),
        start_timeout_s=settings.triton.start_timeout_s,
    )

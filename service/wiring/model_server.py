"""The connection to the model server."""

from inference.client import TritonClient
from service.config import Settings


def triton_client(settings: Settings) -> TritonClient:
    """A connection to the model server of these settings."""
    return TritonClient(
        settings.triton.url,
        shared_memory=settings.triton.shared_memory,
        timeout_s=settings.triton.timeout_s,
        models_at_once=settings.triton.models_at_once,
        load_timeout_s=settings.triton.start_timeout_s,
    )

"""The section ``triton``: the inference server."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from service.config.section import SettingsSection
from service.config.shipped import shipped_models, triton_environment


class TritonSettings(SettingsSection):
    """The inference server."""

    url: Annotated[str, Field(pattern=r"^([A-Za-z0-9._-]+:[0-9]{1,5}|unix:/.+)$")] | None = Field(
        default=None,
        description="host:port of the gRPC endpoint of a Triton, or unix:<absolute path> of its socket; absent: `serve` starts "
        "one as a child process.",
    )
    environment: Path = Field(
        default_factory=triton_environment,
        description="Python environment of the embedded server; absent: the one that `contour-node setup` makes.",
    )
    model_repository: Path = Field(
        default_factory=shipped_models,
        description="Triton's folder of models; absent: those that came with the program.",
    )
    shared_memory: bool = Field(
        default=True,
        description="Pass volumes in system shared memory; the node and Triton must be on one host.",
    )
    timeout_s: Annotated[float, Field(ge=1, le=7200)] = Field(
        default=900,
        description="Longest time for the inference of a case, the start of the embedded server or the loading of a model.",
    )
    models_at_once: Annotated[int, Field(ge=0, le=100)] = Field(
        default=2,
        description="Model versions that stay loaded; to load another, the least recently used is unloaded. 0: no limit.",
    )
    unload_idle_s: Annotated[float, Field(ge=0, le=604800)] = Field(
        default=600,
        description="Seconds without use after which a model is unloaded; its next job waits some seconds longer. 0: never.",
    )

    @property
    def embedded(self) -> bool:
        """Whether `serve` starts the server."""
        return self.url is None

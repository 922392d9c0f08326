"""Which model versions a Triton server holds in memory: loaded when first needed, least recently used unloaded."""

import json
import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from inference.contract import ModelContract, identity
from inference.errors import ModelFailed, ModelUnavailable
from inference.self_test import MODEL as SELF_TEST
from inference.triton_config import triton_config

log = logging.getLogger(__name__)

_QUICK_S = 10.0
_READY = "READY"
_NO_CONTROL = "explicit model load / unload is not allowed"
_ABSENT = "failed to poll from model repository"  # the server has no such model: it uses another repository
_LATER = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "RESOURCE_EXHAUSTED"})


@dataclass(frozen=True, kw_only=True)
class LoadedVersion:
    """A model version that the server can run now; ``last_used_ms`` since the epoch, 0 where it never ran."""

    name: str
    version: int
    last_used_ms: int


class ModelControl:
    """Explicit model control of one server, over a connection that its owner closes.

    The server must run with ``--model-control-mode=explicit``; one that loads everything at its start works
    too, as long as nothing has to be loaded. Several nodes may share a server.
    """

    def __init__(
        self, server: triton.InferenceServerClient, url: str, *, at_once: int, load_timeout_s: float
    ) -> None:
        """Control ``server``; at most ``at_once`` versions stay loaded, 0: none is unloaded for another."""
        self._server = server
        self._url = url
        self._at_once = at_once
        self._load_timeout_s = load_timeout_s

    def loaded(self) -> tuple[LoadedVersion, ...]:
        """List the loaded versions of contouring models, least recently used first.

        A version that never ran was loaded recently, perhaps for a request that is on its way: it comes last.
        """
        with self._translated("its models"):
            index = self._server.get_model_repository_index(client_timeout=_QUICK_S)
            found = [
                LoadedVersion(
                    name=entry.name,
                    version=int(entry.version),
                    last_used_ms=self._last_used_ms(entry.name, entry.version),
                )
                for entry in index.models
                if entry.state == _READY and entry.version.isdecimal() and entry.name != SELF_TEST
            ]
        return tuple(sorted(found, key=lambda one: (one.last_used_ms or math.inf, one.name, one.version)))

    def make_ready(self, contract: ModelContract) -> None:
        """Make sure that the server can run this version: load it if need be, unloading the least recently used.

        Raises ModelUnavailable (try again later), or ModelFailed where its package cannot be loaded.
        """
        loaded = self.loaded()
        if (contract.name, contract.version) in {(one.name, one.version) for one in loaded}:
            return
        if self._at_once:
            for one in loaded[: max(0, len(loaded) + 1 - self._at_once)]:
                log.info("model %s version %d leaves the server: least used", one.name, one.version)
                self.unload(one.name, one.version)
        self.load(contract)

    def load(self, contract: ModelContract) -> None:
        """Load one version in addition to the loaded ones of the same model; do nothing where it is loaded.

        The model itself compares the configuration that the server receives with the package there. A model of the
        runtime own_code cannot do that: for it, the server's own config.pbtxt says which versions it loads, and what
        they are.
        """
        others = self._versions_of(contract.name)
        if contract.version in others:
            return
        log.info("model %s version %d is being loaded", contract.name, contract.version)
        if contract.runtime.kind == "own_code":
            self._load(contract.name, None)
            return
        config = self._config(contract.name) if others else triton_config({contract.version: contract})
        for key, value in identity(contract).items():
            config["parameters"][key] = {"string_value": value}
        self._load(contract.name, _only(config, [*others, contract.version]))

    def unload(self, name: str, version: int) -> None:
        """Unload one version once its running requests have ended; do nothing where it is not loaded."""
        others = self._versions_of(name)
        if version not in others:
            return
        others.remove(version)
        if others:
            self._load(name, _only(self._config(name), others))
            return
        with self._translated(f"model {name}"):
            self._server.unload_model(name, client_timeout=self._load_timeout_s)

    def unload_all(self) -> None:
        """Unload every contouring model once its running requests have ended; the next request loads what it needs."""
        for name in sorted({one.name for one in self.loaded()}):
            log.info("model %s leaves the server: its memory is needed", name)
            with self._translated(f"model {name}"):
                self._server.unload_model(name, client_timeout=self._load_timeout_s)

    def reset(self, name: str) -> None:
        """Unload a model whose process died, so that the next request loads it again; never raises."""
        with suppress(InferenceServerException):
            self._server.unload_model(name, client_timeout=_QUICK_S)

    def _versions_of(self, name: str) -> list[int]:
        return sorted(one.version for one in self.loaded() if one.name == name)

    def _config(self, name: str) -> dict[str, Any]:
        with self._translated(f"model {name}"):
            answer = self._server.get_model_config(name, as_json=True, client_timeout=_QUICK_S)
        config: dict[str, Any] = answer["config"]
        return config

    def _load(self, name: str, config: Mapping[str, Any] | None) -> None:
        with self._translated(f"model {name}"):
            self._server.load_model(
                name,
                config=None if config is None else json.dumps(config),
                client_timeout=self._load_timeout_s,
            )

    def _last_used_ms(self, name: str, version: str) -> int:
        statistics = self._server.get_inference_statistics(name, version, client_timeout=_QUICK_S)
        return max((int(one.last_inference) for one in statistics.model_stats), default=0)

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        try:
            yield
        except InferenceServerException as error:
            words = error.message() or "no message"
            status = (error.status() or "").removeprefix("StatusCode.")
            where = f"{what} on the Triton server at {self._url}: {words}"
            if _NO_CONTROL in words:
                raise ModelUnavailable(
                    f"{where}: start the server with --model-control-mode=explicit"
                ) from error
            if status in _LATER or _ABSENT in words:
                raise ModelUnavailable(where) from error
            raise ModelFailed(where) from error


def _only(config: Mapping[str, Any], versions: list[int]) -> dict[str, Any]:
    """Return the configuration with exactly these versions."""
    return {**config, "version_policy": {"specific": {"versions": versions}}}

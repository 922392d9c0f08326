"""Models that have not been used for a while are unloaded, so that an idle node keeps its memory free."""

import logging
import time
from dataclasses import dataclass, field

from inference.contract import ModelLibrary
from inference.errors import ModelFailed, ModelUnavailable
from inference.model_control import ModelControl

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 30.0
Version = tuple[str, int]


@dataclass(kw_only=True)
class IdleModels:
    """Unloads versions that have not run for ``after_s`` seconds; the next request loads a version again.

    It considers only versions of this node's repository: other models on a shared server stay. Time is measured here: a
    version is idle as long as the server's time of its last inference does not change.
    """

    control: ModelControl
    models: ModelLibrary
    after_s: float  # 0: never
    look_every_s: float = _LOOK_EVERY_S
    _next_look: float = 0.0
    _seen: dict[Version, tuple[int, float]] = field(default_factory=dict)

    def unload(self) -> None:
        """Unload idle versions, at most every ``look_every_s``; a server that does not answer or unload is no error."""
        now = time.monotonic()
        if not self.after_s or now < self._next_look:
            return
        self._next_look = now + min(self.look_every_s, self.after_s)
        try:
            for name, version in self._idle(now):
                log.info(
                    "model %s version %d leaves the server: unused for %.0f s", name, version, self.after_s
                )
                self.control.unload(name, version)
        except (ModelUnavailable, ModelFailed) as reason:
            log.debug("no idle model was unloaded: %s", reason)

    def _idle(self, now: float) -> list[Version]:
        last_used = {(one.name, one.version): one.last_used_ms for one in self.control.loaded()}
        self._seen = {
            version: self._seen[version]
            if self._seen.get(version, (None, now))[0] == last_used_ms
            else (last_used_ms, now)
            for version, last_used_ms in last_used.items()
        }
        return [
            version
            for version, (_, since) in self._seen.items()
            if now - since >= self.after_s and self.models.version(*version) is not None
        ]

"""The pages: metrics and health, from the last poll, without patient data."""

import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from prometheus_client import CONTENT_TYPE_LATEST

from service.config import Settings
from service.monitor.metrics import metrics_page
from service.monitor.node_status import NodeStatus
from service.store import Clock

JSON = "application/json"
GRACE_S = 60.0


@dataclass(frozen=True, kw_only=True)
class PageResponse:
    """A page's response."""

    status: HTTPStatus
    content_type: str
    body: bytes


@dataclass(frozen=True, kw_only=True)
class StatusPages:
    """Every page by its path. Thread-safe: it only reads the last poll."""

    settings: Settings
    last_view: Callable[[], NodeStatus | None]
    clock: Clock
    token: str | None = None

    def answer(self, path: str, authorization: str) -> PageResponse:
        """Return the page; ``authorization`` is the request's header, or empty."""
        if path == "/health/live":
            return _json(HTTPStatus.OK, {"alive": True})
        page = {"/health/ready": self._ready, "/metrics": self._metrics}.get(path)
        if page is None:
            paths = ["/health/live", "/health/ready", "/metrics"]
            return _json(HTTPStatus.NOT_FOUND, {"error": "no such page", "pages": paths})
        if not self._lets_in(authorization):
            return _json(HTTPStatus.UNAUTHORIZED, {"error": "a bearer token is required"})
        view = self.last_view()
        if view is None:
            reason = "the node has not been polled yet"
            return _json(HTTPStatus.SERVICE_UNAVAILABLE, {"ready": False, "reason": reason})
        return page(view)

    def _lets_in(self, authorization: str) -> bool:
        if self.token is None:
            return True
        scheme, _, given = authorization.partition(" ")
        same = hmac.compare_digest(given.strip().encode("utf-8", "replace"), self.token.encode())
        return scheme.lower() == "bearer" and same

    def _metrics(self, view: NodeStatus) -> PageResponse:
        body = metrics_page(self.settings, view)
        return PageResponse(status=HTTPStatus.OK, content_type=CONTENT_TYPE_LATEST, body=body)

    def _ready(self, view: NodeStatus) -> PageResponse:
        age_s = (self.clock() - view.at).total_seconds()
        oldest_s = 3 * self.settings.advanced.monitor_poll_s + GRACE_S
        if age_s > oldest_s:
            reason = f"the last poll was {age_s:.0f} s ago: the monitor hangs"
            return _json(HTTPStatus.SERVICE_UNAVAILABLE, {"ready": False, "reason": reason})
        status = HTTPStatus.OK if view.is_ready else HTTPStatus.SERVICE_UNAVAILABLE
        return _json(status, health_report(view))


def health_report(view: NodeStatus) -> dict[str, object]:
    """Return a poll's checks as JSON fields."""
    return {
        "ready": view.is_ready,
        "at": view.at.isoformat(timespec="seconds"),
        "checks": [
            {"name": check.name, "ok": check.ok, "needed": check.needed, "reason": check.reason}
            for check in view.checks
        ],
        "peers": [{"name": echo.name, "ok": echo.ok, "reason": echo.reason} for echo in view.echoes],
    }


def _json(status: HTTPStatus, value: object) -> PageResponse:
    return PageResponse(status=status, content_type=JSON, body=(json.dumps(value, indent=1) + "\n").encode())

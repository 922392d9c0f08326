"""One HTTP request to a DICOMweb server: credentials from files, TLS verified, no redirects followed."""

import base64
import http.client
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

from service.config import SettingsRefused, WebDestination
from service.scu.outcome import Failure, PermanentRefusal, TransientFailure
from service.tls import web_context

_MOST_OF_AN_ANSWER = 4 * 1024 * 1024
_LONGEST_WAIT_S = 86400.0
_TRANSIENT = frozenset({401, 408, 423, 425, 429, 500, 502, 503, 504, 507, 509})  # 401: tokens are renewed


@dataclass(frozen=True, kw_only=True)
class HttpRequest:
    """A request: path below the service's URL, headers, and the parts of its body."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Iterable[bytes] = ()


@dataclass(frozen=True, kw_only=True)
class HttpResponse:
    """What the server answered; at most 4 MiB of it."""

    status: int
    reason: str
    retry_after_s: float | None
    body: bytes


def exchange(
    destination: WebDestination, request: HttpRequest, *, timeout_s: float
) -> HttpResponse | Failure:
    """Return the server's answer, or the failure."""
    parts = urlsplit(destination.url)
    try:
        connection = _connection(destination, timeout_s)
        headers = {**request.headers, **_authorization(destination)}
    except (OSError, ValueError, SettingsRefused) as error:  # ValueError: the file does not contain text
        return TransientFailure(reason=f"credentials of {parts.netloc} cannot be read: {error}")
    try:
        connection.putrequest(request.method, parts.path.rstrip("/") + request.path)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        return _answered(connection, request)
    except ssl.SSLCertVerificationError as error:
        reason = f"the certificate of {parts.netloc} is not accepted: {error.verify_message}"
        return TransientFailure(reason=reason, is_unreachable=True)
    except (OSError, http.client.HTTPException) as error:
        said = str(error) or type(error).__name__
        return TransientFailure(reason=f"no answer from {parts.netloc}: {said}", is_unreachable=True)
    finally:
        connection.close()


def failure_of(reply: HttpResponse) -> Failure:
    """Return the kind of failure that an HTTP status other than success means."""
    said = f"HTTP {reply.status} {reply.reason}".strip()
    if reply.status in _TRANSIENT:
        return TransientFailure(reason=said, retry_after_s=reply.retry_after_s)
    if 300 <= reply.status < 400:
        return PermanentRefusal(reason=f"{said}: redirects are not followed; set url to the final address")
    return PermanentRefusal(reason=said)


def _connection(destination: WebDestination, timeout_s: float) -> http.client.HTTPConnection:
    parts = urlsplit(destination.url)
    host = parts.hostname or ""
    if parts.scheme == "http":
        return http.client.HTTPConnection(host, parts.port, timeout=timeout_s)
    context = web_context(destination.tls, of=f"the TLS of {host}")
    return http.client.HTTPSConnection(host, parts.port, timeout=timeout_s, context=context)


def _authorization(destination: WebDestination) -> dict[str, str]:
    if destination.token_file is not None:
        return {"Authorization": f"Bearer {_secret(destination.token_file)}"}
    if destination.user is not None and destination.password_file is not None:
        pair = f"{destination.user}:{_secret(destination.password_file)}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode('ascii')}"}
    return {}


def _secret(file: Path) -> str:
    secret = file.read_text(encoding="utf-8").strip()
    if not secret or not secret.isprintable():
        raise ValueError(f"{file} does not hold one line of text")
    return secret


def _answered(connection: http.client.HTTPConnection, request: HttpRequest) -> HttpResponse:
    try:
        for piece in request.body:
            connection.send(piece)
    except (BrokenPipeError, ConnectionResetError):
        pass  # a server may answer before it has read the whole body: its answer says why
    answer = connection.getresponse()
    return HttpResponse(
        status=answer.status,
        reason=answer.reason,
        retry_after_s=_retry_after_s(answer.getheader("Retry-After")),
        body=answer.read(_MOST_OF_AN_ANSWER),
    )


def _retry_after_s(value: str | None) -> float | None:
    """Return the seconds of Retry-After (RFC 9110 10.2.3), at most a day; None if it cannot be used."""
    if value is None:
        return None
    if value.strip().isdigit():
        return min(float(value), _LONGEST_WAIT_S)
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    wait_s = (until if until.tzinfo else until.replace(tzinfo=UTC)) - datetime.now(UTC)
    return min(max(wait_s.total_seconds(), 0.0), _LONGEST_WAIT_S)

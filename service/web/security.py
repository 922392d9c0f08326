"""What applies to every request: host names, sizes, orders from foreign pages, and the headers of answers."""

import ipaddress
import re
import sys
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.config import WebSettings

MOST_BODY_BYTES = 1 << 16
"""Of a form or an order; images are sent by DICOM."""
MOST_DROPPED_BYTES = 64 << 20
"""Of a DICOM file that somebody drops, to see which rule takes it or to compare it; it is never stored."""
STORES = "/dicom-web/studies"
"""How the paths begin to which objects are posted: the receiver's limits apply to each object, none to the whole."""
DROPS = frozenset({"/rules/drop", "/rules/try", "/rules/back-test.csv", "/rules/draft", "/rules/activate"})
COMPARES = re.compile(r"/api/v1/jobs/[0-9]+/comparison/file")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "font-src 'self'; worker-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
POLICY = "Content-Security-Policy"
HEADERS = {
    POLICY: CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
STATIC = "/static/"


class Shield:
    """ASGI middleware: refuses requests for other host names, orders from foreign pages, and large bodies."""

    def __init__(self, app: ASGIApp, settings: WebSettings) -> None:
        self._app = app
        self._names = host_names(settings)
        self._is_https = settings.tls is not None
        self._headers = dict(HEADERS)
        if settings.oidc is not None:  # to which a sign-out redirects
            parts = urlsplit(settings.oidc.issuer)
            allowed = f"form-action 'self' {parts.scheme}://{parts.netloc}"
            self._headers[POLICY] = CONTENT_POLICY.replace("form-action 'self'", allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on or refuse it; every answer gets the headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = self._with_headers(scope, send)
        headers = Headers(scope=scope)
        most = _most_bytes(scope["path"])
        refusal = self._refusal(scope["method"], headers, most)
        if refusal is not None:
            await refusal(scope, receive, answer)
            return
        await self._app(scope, _bounded(receive, most), answer)

    def _refusal(self, method: str, headers: Headers, most: int) -> PlainTextResponse | None:
        if _host_of(headers.get("host", "")) not in self._names:
            return PlainTextResponse("This node has no such host name; see web.names in its settings.", 421)
        if method not in SAFE_METHODS and is_foreign(headers):
            return PlainTextResponse("This order came from another site and was refused.", 403)
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > most:
            return PlainTextResponse("This request is larger than any form of the page.", 413)
        return None

    def _with_headers(self, scope: Scope, send: Send) -> Send:
        is_static = scope["path"].startswith(STATIC)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                if self._is_https:
                    headers["Strict-Transport-Security"] = "max-age=31536000"
                headers.setdefault("Cache-Control", "no-cache" if is_static else "no-store")
            await send(message)

        return answer


def _most_bytes(path: str) -> int:
    if path.startswith(STORES):
        return sys.maxsize
    takes_file = path in DROPS or COMPARES.fullmatch(path) is not None
    return MOST_DROPPED_BYTES if takes_file else MOST_BODY_BYTES


def is_foreign(headers: Headers) -> bool:
    """Tell whether a request that changes something was made by a page of another site.

    Browsers show it by Sec-Fetch-Site, older ones by Origin. A program sends neither, nor a person's cookie.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")


def host_names(settings: WebSettings) -> Collection[str]:
    """Return the host names under which requests are answered, lower case, without ports."""
    names = {"localhost", "127.0.0.1", "[::1]", *(name.lower() for name in settings.names)}
    host = settings.host.lower()
    if ":" in host:
        names.add(f"[{host}]")
    elif not _is_every_interface(host):
        names.add(host)
    return frozenset(names)


def _is_every_interface(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _host_of(header: str) -> str:
    host = header.lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def _bounded(receive: Receive, most: int) -> Receive:
    """Return a receive() that cuts off a body beyond the limit: a chunked one has no Content-Length to check."""
    received = 0

    async def bounded() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > most:
            return {"type": "http.disconnect"}
        return message

    return bounded

"""Who makes a request, and whether they may: a dependency of every route; a route without it answers nobody."""

import hmac
import ipaddress
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, Request
from starlette.datastructures import Headers

from service.application import (
    PERMITTED,
    Actor,
    ActorKind,
    ActorRole,
    Operation,
    actor_of,
    require_permission,
    secret_sha256,
)
from service.config import ProxySettings, Settings, read_secret
from service.store import AuditEvent, AuditKind, AuditLog, AuditOutcome, WebSession, WebUser
from service.text import shown
from service.web.parts import WebParts

log = logging.getLogger(__name__)
ENTRY = "web"
API = ("/api/", "/dicom-web/")
"""How the paths begin that programs use."""
REFRESHES = "X-Refresh"
"""Header of requests that a page makes without its reader: they do not keep a session alive."""


class SignInNeeded(Exception):
    """The request has no valid session."""

    def __init__(self, wanted: str) -> None:
        """Keep the address that was requested."""
        super().__init__("sign in first")
        self.sign_in_address = f"/sign-in?next={quote(wanted, safe='')}"


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """A person who is signed in, with their browser; or a program with a token."""

    actor: Actor
    session: WebSession | None  # None: a proxy signed them in, or it is a program

    def may(self, action: str) -> bool:
        """Tell, for a template, whether the person's role permits an action."""
        return self.actor.role in PERMITTED[Operation(action)]


def parts_of(request: Request) -> WebParts:
    """Return the parts that the requests of this application share."""
    parts: WebParts = request.app.state.parts
    return parts


def is_https(settings: Settings) -> bool:
    """Tell whether browsers reach the page by https: by its own TLS, or through a proxy that has it."""
    return settings.web.tls is not None or settings.web.proxy is not None


def cookie_name(settings: Settings) -> str:
    """Return the session cookie's name; with https, it is one that no other host can set."""
    return "__Host-contour-node" if is_https(settings) else "contour-node"


def permits(action: Operation) -> Callable[[Request], Visitor]:
    """Return the dependency of a route that needs the permission for an action.

    It raises SignInNeeded if nobody is signed in, and NotPermitted if the person's role does not suffice.
    """

    def visitor(request: Request) -> Visitor:
        found = visitor_of(request)
        if found is None:
            wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            raise SignInNeeded(wanted if request.method == "GET" else "/")
        require_permission(found.actor, action)
        return found

    visitor.action = action  # type: ignore[attr-defined] # for the test that lists the rights of all routes
    return visitor


def anyone() -> None:
    """Mark a route that answers people who are not signed in."""


PUBLIC = Depends(anyone)
Retrying = Annotated[Visitor, Depends(permits(Operation.RETRY))]
Rerunning = Annotated[Visitor, Depends(permits(Operation.RERUN))]
Cancelling = Annotated[Visitor, Depends(permits(Operation.CANCEL))]
Prioritising = Annotated[Visitor, Depends(permits(Operation.PRIORITY))]
Resending = Annotated[Visitor, Depends(permits(Operation.RESEND))]


def visitor_of(request: Request) -> Visitor | None:
    """Return who makes a request; None if nobody is signed in.

    They are known by a program's token, which only the API accepts, by the name that a trusted proxy gives, or by the
    session of the cookie.
    """
    parts = parts_of(request)
    authorization = request.headers.get("authorization")
    if authorization is not None and request.url.path.startswith(API):
        return _by_token(request, authorization)
    proxy = parts.settings.web.proxy
    if proxy is not None and proxy.user_header is not None:
        return _by_proxy(request, parts, proxy)
    secret = request.cookies.get(cookie_name(parts.settings), "")
    if not secret:
        return None
    is_used = REFRESHES not in request.headers
    session = parts.sessions.find(secret_sha256(secret), is_used=is_used)
    if session is None or _is_elsewhere(request, parts, session):
        return None
    return _visitor(request, session.user, session)


def address_of(request: Request) -> str:
    """Return the address of the person's computer; behind a trusted proxy, the last one that the proxy names."""
    peer = request.client.host if request.client else ""
    proxy = parts_of(request).settings.web.proxy
    forwarded = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    if proxy is None or not _is_proxy(peer, proxy) or not _is_address(forwarded):
        return peer
    return forwarded


def _by_token(request: Request, authorization: str) -> Visitor | None:
    kind, _, secret = authorization.partition(" ")
    if kind.lower() != "bearer":
        return None
    actor = actor_of(parts_of(request).database, secret.strip(), entry=ENTRY, address=address_of(request))
    return None if actor is None else Visitor(actor=actor, session=None)


def _by_proxy(request: Request, parts: WebParts, proxy: ProxySettings) -> Visitor | None:
    peer = request.client.host if request.client else ""
    if not _is_proxy(peer, proxy) or not _knows_secret(request.headers, proxy):
        return None
    user = parts.accounts.find(request.headers.get(proxy.user_header or "", ""))
    if user is None or user.ended_at is not None:
        return None
    return _visitor(request, user, None)


def _visitor(request: Request, user: WebUser, session: WebSession | None) -> Visitor:
    actor = Actor(
        kind=ActorKind.PERSON,
        name=user.name,
        role=ActorRole(user.role),
        entry=ENTRY,
        address=address_of(request),
        sees_patients=user.sees_patients,
    )
    return Visitor(actor=actor, session=session)


def _is_elsewhere(request: Request, parts: WebParts, session: WebSession) -> bool:
    """Tell whether a session is used at an address other than its own; it ends then, for its secret may be stolen."""
    address = address_of(request)
    if not parts.settings.web.session_keeps_address or address == session.address:
        return False
    parts.sessions.end(session.secret_sha256)
    why = f"refused: the session was opened at {session.address} and used at {address}; it has ended"
    log.warning("sign-in of %s %s", session.user.name, why)
    record_sign_in(parts, AuditKind.SIGNED_OUT, session.user.name, address, why)
    return True


def record_sign_in(
    parts: WebParts, kind: AuditKind, name: str, address: str, refusal: str = "", *, target: str = ""
) -> None:
    """Record in the audit trail who signed in or out, from where, and why it was refused."""
    event = AuditEvent(
        kind=kind,
        outcome=AuditOutcome.MINOR_FAILURE if refusal else AuditOutcome.SUCCESS,
        role=ENTRY,
        actor=shown(name)[:128],
        address=address,
        target=target,
        detail=refusal,
    )
    AuditLog(parts.database).append([(parts.database.clock(), event)])


def _knows_secret(headers: Headers, proxy: ProxySettings) -> bool:
    if proxy.secret_file is None:
        return False
    secret = read_secret(proxy.secret_file)
    return hmac.compare_digest(headers.get("x-proxy-secret", "").encode(), secret.encode())


def _is_proxy(address: str, proxy: ProxySettings) -> bool:
    if not _is_address(address):
        return False
    return any(ipaddress.ip_address(address) in ipaddress.ip_network(network) for network in proxy.addresses)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True

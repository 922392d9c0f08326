"""Sign-in at an OpenID provider: to it, back, and a session on the node for the person whom the provider names."""

import asyncio
import logging
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from service.application import admit_person, new_secret
from service.config import OidcSettings
from service.errors import Refused
from service.store import AuditKind, NotAllowed
from service.store.web.accounts import is_waiting
from service.web import words
from service.web.access import PUBLIC, address_of, cookie_name, is_https, parts_of, record_sign_in
from service.web.parts import WebParts
from service.web.provider import PREFIX, claims_of, reason_of, role_of, to_provider
from service.web.sign_in import local_address, open_session, sign_in_page
from service.web.throttles import BEGUN_LASTS_S
from service.web.translation import _

log = logging.getLogger(__name__)
router = APIRouter(prefix="/oidc", include_in_schema=False)


@router.get("/sign-in", dependencies=[PUBLIC])
def begin(request: Request, next: Annotated[str, Query(max_length=2048)] = "/") -> Response:
    """Redirect the browser to the provider."""
    parts = parts_of(request)
    oidc = _settings(parts)
    session: dict[str, Any] = {"next": local_address(next)}
    request.scope["session"] = session
    try:
        answer: Response = asyncio.run(to_provider(oidc, request, _callback(request)))
    except Exception as error:  # noqa: BLE001 # whatever can go wrong with the provider or on the way to it
        return _refused(request, "", _unreachable(error))
    secret = new_secret()
    parts.begun_sign_ins.put(secret, session)
    answer.set_cookie(
        _cookie(parts),
        secret,
        max_age=int(BEGUN_LASTS_S),
        path="/",
        httponly=True,
        samesite="lax",
        secure=is_https(parts.settings),
    )
    return answer


@router.get("/callback", dependencies=[PUBLIC])
def come_back(request: Request) -> Response:
    """Open a session for the person whom the provider names, if one of their groups has a role here."""
    parts, address = parts_of(request), address_of(request)
    oidc = _settings(parts)
    now = parts.database.clock()
    until = parts.address_waits.until(address, now)
    if until is not None and is_waiting(until, now):
        wait = words.duration((until - now).total_seconds())
        return _refused(request, "", _("Too many failed sign-ins. Try again in %(time)s.", time=wait), 429)
    session = parts.begun_sign_ins.take(request.cookies.get(_cookie(parts), ""))
    request.scope["session"] = session
    name = ""
    try:
        if not session:
            raise Refused(_("this sign-in was already used or has expired; start again"))
        claims = asyncio.run(claims_of(oidc, request))
        name = PREFIX + str(claims.get("preferred_username") or claims.get("email") or claims["sub"])[:100]
        role, sees_patients = role_of(claims, oidc)
        user = admit_person(parts.database, name, role, sees_patients=sees_patients)
    except (Refused, NotAllowed) as reason:
        parts.address_waits.failed(address, now)
        return _refused(request, name, str(reason))
    except Exception as error:  # noqa: BLE001 # every way in which an answer can be wrong
        parts.address_waits.failed(address, now)
        return _refused(request, name, reason_of(error))
    parts.address_waits.succeeded(address)
    answer = open_session(request, user, str(session.get("next", "/")))
    answer.delete_cookie(_cookie(parts), path="/")
    return answer


def _refused(request: Request, name: str, reason: str, status: int = 401) -> Response:
    parts = parts_of(request)
    record_sign_in(parts, AuditKind.SIGNED_IN, name, address_of(request), f"refused: {reason}"[:200])
    message = _("Not signed in: %(reason)s.", reason=reason.rstrip("."))
    return sign_in_page(request, message=message, status=status)


def _unreachable(error: Exception) -> str:
    if isinstance(error, Refused):
        return str(error)
    log.warning("the OpenID provider cannot be asked: %s: %s", type(error).__name__, error)
    return _("the provider cannot be reached; the node's log says why")


def _settings(parts: WebParts) -> OidcSettings:
    if parts.settings.web.oidc is None:
        raise Refused(_("this node has no OpenID provider (web.oidc in its settings)"))
    return parts.settings.web.oidc


def _cookie(parts: WebParts) -> str:
    return f"{cookie_name(parts.settings)}-oidc"


def _callback(request: Request) -> str:
    scheme = "https" if is_https(parts_of(request).settings) else "http"
    return f"{scheme}://{request.headers['host']}/oidc/callback"

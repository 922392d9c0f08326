"""Sign in, sign out, and the one-time links by which people set their passwords."""

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from service.application import Operation, new_secret, secret_sha256, set_password
from service.errors import Refused
from service.store import AuditKind, NotAllowed, WebUser, invited
from service.store.web.accounts import is_waiting
from service.web import words
from service.web.access import (
    PUBLIC,
    Visitor,
    address_of,
    cookie_name,
    is_https,
    parts_of,
    permits,
    record_sign_in,
    visitor_of,
)
from service.web.passwords import hash_password, is_password
from service.web.provider import PREFIX, sign_out_address
from service.web.rendering import page
from service.web.translation import COOKIE, _, marked

router = APIRouter(include_in_schema=False)
WRONG = marked("Wrong name or password.")
Signed = Annotated[Visitor, Depends(permits(Operation.SHOW))]


@router.get("/sign-in", dependencies=[PUBLIC])
def sign_in_form(request: Request, next: str = "/") -> Response:
    """Show the form; if there is no admin yet, say how to add one, and nothing else."""
    if not parts_of(request).accounts.has_admin():
        return page(request, "first_run.html", None)
    if visitor_of(request) is not None:
        return RedirectResponse(local_address(next), 303)
    return sign_in_page(request, next)


@router.post("/sign-in", dependencies=[PUBLIC])
def sign_in(
    request: Request,
    name: Annotated[str, Form(max_length=128)] = "",
    password: Annotated[str, Form(max_length=1024)] = "",
    next: Annotated[str, Form(max_length=2048)] = "/",
) -> Response:
    """Open a session; a wrong name and a wrong password get the same answer, after the same time."""
    parts, address = parts_of(request), address_of(request)
    now = parts.database.clock()
    user = parts.accounts.find(name)
    waits = (parts.address_waits.until(address, now), user.locked_until if user else None)
    wait_until = max((one for one in waits if one is not None and is_waiting(one, now)), default=None)
    if wait_until is not None:
        record_sign_in(parts, AuditKind.SIGNED_IN, name, address, "refused: has to wait")
        wait = words.duration((wait_until - now).total_seconds())
        message = _("Too many wrong passwords. Try again in %(time)s.", time=wait)
        return sign_in_page(request, next, message, status=429)
    is_right = is_password(password, user.password_hash if user and user.ended_at is None else "")
    if user is None or not is_right:
        return _wrong(request, user, name, next)
    parts.address_waits.succeeded(address)
    return open_session(request, user, next)


def sign_in_page(request: Request, next: str = "/", message: str = "", *, status: int = 200) -> Response:
    """Return the form, with why the last sign-in was refused; `next` is where a sign-in leads to."""
    has_oidc = parts_of(request).settings.web.oidc is not None
    values = {"next": local_address(next), "message": message, "has_oidc": has_oidc}
    return page(request, "sign_in.html", None, http_status=status, **values)


def open_session(request: Request, user: WebUser, next: str) -> Response:
    """Sign in a person whose identity is established; the session that the browser had before ends."""
    parts, address = parts_of(request), address_of(request)
    secret = new_secret()
    earlier = request.cookies.get(cookie_name(parts.settings), "")
    parts.sessions.open(user, secret_sha256(secret), address, replaces=secret_sha256(earlier))
    record_sign_in(parts, AuditKind.SIGNED_IN, user.name, address)
    answer = RedirectResponse(local_address(next), 303)
    answer.set_cookie(
        cookie_name(parts.settings),
        secret,
        path="/",
        httponly=True,
        samesite="lax",
        secure=is_https(parts.settings),
    )
    return answer


def _wrong(request: Request, user: WebUser | None, name: str, next: str) -> Response:
    parts, address = parts_of(request), address_of(request)
    parts.address_waits.failed(address, parts.database.clock())
    until = parts.accounts.failed(user) if user is not None else None
    record_sign_in(parts, AuditKind.SIGNED_IN, name, address, "refused: wrong name or password")
    message = _(WRONG)
    if until is not None:
        wait_s = (until - parts.database.clock()).total_seconds()
        message += " " + _("You can try again in %(time)s.", time=words.duration(wait_s))
    return sign_in_page(request, next, message, status=401)


@router.post("/sign-out")
def sign_out(request: Request, visitor: Signed) -> Response:
    """End the session of this browser."""
    if visitor.session is not None:
        parts_of(request).sessions.end(visitor.session.secret_sha256)
    return _signed_out(request, visitor)


@router.post("/sign-out/everywhere")
def sign_out_everywhere(request: Request, visitor: Signed) -> Response:
    """End all sessions of the person, in every browser."""
    if visitor.session is not None:
        parts_of(request).sessions.end_all(visitor.session.user)
    return _signed_out(request, visitor, target="everywhere")


def _signed_out(request: Request, visitor: Visitor, *, target: str = "") -> Response:
    parts, actor = parts_of(request), visitor.actor
    record_sign_in(parts, AuditKind.SIGNED_OUT, actor.name, actor.address, target=target)
    leads_to = None
    if visitor.actor.name.startswith(PREFIX):
        leads_to = sign_out_address(parts.settings)
    answer = RedirectResponse(leads_to or "/sign-in", 303)
    answer.delete_cookie(cookie_name(parts.settings), path="/")
    return answer


@router.post("/language", dependencies=[PUBLIC])
def choose_language(
    code: Annotated[str, Form(max_length=35, pattern="^[A-Za-z-]+$")],
    next: Annotated[str, Form(max_length=2048)] = "/",
) -> Response:
    """Show pages in another language, in this browser, for a year."""
    answer = RedirectResponse(local_address(next), 303)
    answer.set_cookie(COOKIE, code, max_age=365 * 86400, path="/", httponly=True, samesite="lax")
    return answer


@router.get("/invitation/{secret}", dependencies=[PUBLIC])
def invitation_form(request: Request, secret: str) -> Response:
    """Show the form in which the person of a link sets their password."""
    parts = parts_of(request)
    with parts.database.reading() as connection:
        user = invited(parts.database, connection, secret_sha256(secret))
    return page(request, "invitation.html", None, user=user, message="")


@router.post("/invitation/{secret}", dependencies=[PUBLIC])
def accept(
    request: Request,
    secret: str,
    password: Annotated[str, Form(max_length=1024)] = "",
    again: Annotated[str, Form(max_length=1024)] = "",
) -> Response:
    """Set the password, which uses up the link."""
    parts = parts_of(request)
    with parts.database.reading() as connection:
        user = invited(parts.database, connection, secret_sha256(secret))
    try:
        if password != again:
            raise Refused(_("the two passwords do not match"))
        password_hash = hash_password(password, user.name)
    except NotAllowed:
        raise
    except Refused as reason:
        return page(request, "invitation.html", None, http_status=422, user=user, message=str(reason))
    set_password(parts.database, secret, password_hash)
    record_sign_in(parts, AuditKind.ORDERED, user.name, address_of(request), target="set password")
    return RedirectResponse("/sign-in", 303)


def local_address(address: str) -> str:
    """Return the address if it is one of this web page; "/" if it leads elsewhere."""
    parsed = urlsplit(address)
    is_local = not parsed.scheme and not parsed.netloc and address.startswith("/")
    return address if is_local and not address.startswith(("//", "/\\")) else "/"

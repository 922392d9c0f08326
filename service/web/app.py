"""The application: its routes, and the answer to each kind of error."""

import logging
import secrets
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from service.application import FaultyRules, NotPermitted
from service.errors import Refused, TryAgain
from service.store import JobChanged, NoSuchJob, NotAllowed
from service.store.errors import NoSuchRuleSet, RulesChanged
from service.web import (
    bulk_orders,
    job_orders,
    job_page,
    node_pages,
    oidc,
    people_page,
    sign_in,
    tokens_page,
    viewer,
    work_page,
)
from service.web.access import API, REFRESHES, SignInNeeded, visitor_of
from service.web.api import jobs, node, orders, stream
from service.web.api import rules as rules_api
from service.web.comparison import routes as comparison
from service.web.dicomweb import retrieve, search, store
from service.web.dicomweb.kept import ObjectGone
from service.web.images import NoStructureSet
from service.web.parts import WebParts
from service.web.rendering import STATIC, page
from service.web.rules import rule_changes, rules_page
from service.web.security import Shield
from service.web.translation import Languages, _, marked

log = logging.getLogger(__name__)
ROUTERS = (
    work_page.router,
    bulk_orders.router,
    job_page.router,
    job_orders.router,
    viewer.router,
    viewer.data,
    comparison.router,
    node_pages.router,
    rules_page.router,
    rule_changes.router,
    rules_api.router,
    people_page.router,
    tokens_page.router,
    jobs.router,
    orders.router,
    stream.router,
    node.router,
    search.router,
    retrieve.router,
    store.router,
    sign_in.router,
    oidc.router,
)
STATUS_OF = (
    (NotPermitted, HTTPStatus.FORBIDDEN),
    (NoSuchJob, HTTPStatus.NOT_FOUND),
    (NoStructureSet, HTTPStatus.NOT_FOUND),
    (ObjectGone, HTTPStatus.GONE),
    (NoSuchRuleSet, HTTPStatus.NOT_FOUND),
    (JobChanged, HTTPStatus.PRECONDITION_FAILED),
    (RulesChanged, HTTPStatus.PRECONDITION_FAILED),
    (NotAllowed, HTTPStatus.CONFLICT),
    (Refused, HTTPStatus.UNPROCESSABLE_ENTITY),
    (TryAgain, HTTPStatus.SERVICE_UNAVAILABLE),
)

TITLES = (  # of pages that say why there is nothing else to see
    marked("Bad Request"),
    marked("Forbidden"),
    marked("Not Found"),
    marked("Method Not Allowed"),
    marked("Conflict"),
    marked("Precondition Failed"),
    marked("Unprocessable Content"),
    marked("Unprocessable Entity"),
    marked("Internal Server Error"),
    marked("Service Unavailable"),
)


def build_app(parts: WebParts) -> FastAPI:
    """Return the application; it has no documentation pages of its own, and each of its routes needs a permission."""
    app = FastAPI(
        title="Contour Node",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        description="Jobs, images and contours of one node. Times are UTC, lengths mm, volumes cc.",
    )
    app.state.parts = parts
    for router in ROUTERS:
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_exception_handler(SignInNeeded, _sign_in)
    for kind in (Refused, TryAgain, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, _explain)
    app.add_middleware(Languages, own=parts.settings.node.storage_dir / "translations")
    app.add_middleware(Shield, settings=parts.settings.web)
    return app


def _sign_in(request: Request, error: Exception) -> Response:
    """Redirect to the sign-in form; a request by a program, or by a page's script, gets 401 instead."""
    if request.url.path.startswith(API) or REFRESHES in request.headers or "hx-request" in request.headers:
        how = "Sign in first; a program sends a valid token as `Authorization: Bearer cn_...`."
        headers = {"WWW-Authenticate": "Bearer"}
        return JSONResponse(_problem(HTTPStatus.UNAUTHORIZED, how), 401, headers, media_type=PROBLEM)
    if not isinstance(error, SignInNeeded):
        raise error
    return RedirectResponse(error.sign_in_address, 303)


PROBLEM = "application/problem+json"


def _explain(request: Request, error: Exception) -> Response:
    """Answer with the reason in plain words, and a number under which the log has the details."""
    number = secrets.token_hex(4)
    status = _status(error)
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("request %s failed", number, exc_info=error)
        detail = _("Something went wrong in the node. Its log has the details under this number.")
    else:
        detail = _detail(error)
        log.info("request %s: %d", number, status, extra={"path": request.url.path})
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "5"
    if request.url.path.startswith(API):
        body = {**_problem(status, detail), "request": number}
        if isinstance(error, RequestValidationError):
            body["errors"] = [_at_its_place(one) for one in error.errors()]
        if isinstance(error, FaultyRules):
            body["errors"] = [
                {"in": "text", "line": one.line, "column": one.column, "detail": one.message}
                for one in error.faults
            ]
        return JSONResponse(body, status, headers, media_type=PROBLEM)
    visitor = None if isinstance(error, TryAgain) else _visitor(request)
    answer = page(
        request, "error.html", visitor, http_status=status, title=status.phrase, detail=detail, number=number
    )
    answer.headers.update(headers)
    return answer


def _visitor(request: Request):  # type: ignore[no-untyped-def] # Visitor | None
    try:
        return visitor_of(request)
    except TryAgain:
        return None


def _status(error: Exception) -> HTTPStatus:
    if isinstance(error, HTTPException):
        return HTTPStatus(error.status_code)
    if isinstance(error, RequestValidationError):
        return HTTPStatus.UNPROCESSABLE_ENTITY
    return next(
        (status for kind, status in STATUS_OF if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR
    )


def _detail(error: Exception) -> str:
    if isinstance(error, HTTPException):
        is_bare = error.detail == HTTPStatus.NOT_FOUND.phrase
        return _("This page does not exist.") if is_bare else str(error.detail)
    if isinstance(error, RequestValidationError):
        return "; ".join(f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors())
    return str(error)


def _at_its_place(one: dict[str, Any]) -> dict[str, str]:
    """Say what is wrong with one value, and where it is: a JSON pointer into the body, or the parameter."""
    place, *path = (str(part) for part in one["loc"])
    return {"in": place, "pointer": "/" + "/".join(path), "detail": one["msg"]}


def _problem(status: HTTPStatus, detail: str) -> dict[str, object]:
    return {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}

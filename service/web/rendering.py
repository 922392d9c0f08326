"""Templates, with what every one of them can use."""

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse

from service.text import shown
from service.web import words
from service.web.access import Visitor, parts_of

FOLDER = Path(__file__).parent
STATIC = FOLDER / "static"


@cache
def environment() -> Environment:
    """Return the templates' environment: everything is escaped, and an unknown name is an error."""
    found = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "ago": words.ago,
        "duration": words.duration,
        "clock_time": words.clock_time,
        "visible": shown,
    }
    found.globals |= {"job_words": words.JOB_STATES, "delivery_words": words.DELIVERY_STATES}
    return found


def page(
    request: Request, template: str, visitor: Visitor | None, *, http_status: int = 200, **values: Any
) -> HTMLResponse:
    """Return a page of a template.

    Args:
        request: the one that is answered.
        template: file name in `templates/`.
        visitor: who is signed in; None: nobody.
        http_status: of the answer.
        values: what the template names.
    """
    parts = parts_of(request)
    text = (
        environment()
        .get_template(template)
        .render(
            visitor=visitor,
            path=request.url.path,
            now=datetime.now(UTC),
            node_title=parts.settings.receive.ae_title,
            is_database_there=parts.live.is_database_there,
            **values,
        )
    )
    return HTMLResponse(text, status_code=http_status)

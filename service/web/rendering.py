"""The templates, with the filters and values that all of them can use."""

import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from service.text import shown
from service.web import translation, words
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
        "clock_time": translation.clock_time,
        "number": translation.number,
        "short": _short,
        "visible": shown,
        "code": Markup("<code>{}</code>").format,
        "strong": Markup("<strong>{}</strong>").format,
    }
    found.globals |= {
        "job_words": words.JOB_STATES,
        "delivery_words": words.DELIVERY_STATES,
        "rule_states": words.RULE_STATES,
        "_": translation._,
        "ngettext": translation.ngettext,
        "language": translation.language,
    }
    return found


def _short(value: float) -> str:
    return f"{value:g}".replace(".", translation.number(0.5, 1)[1])


def _here(request: Request) -> str:
    """Return the address of this page, or "/" for the answer to an order, which cannot be shown again."""
    if request.method != "GET":
        return "/"
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def _script_texts() -> str:
    found = translation.script_texts(translation.SCRIPT_TEXTS, translation.SCRIPT_PLURALS)
    return json.dumps(found, ensure_ascii=False) if found else ""


def page(
    request: Request, template: str, visitor: Visitor | None, *, http_status: int = 200, **values: Any
) -> HTMLResponse:
    """Return a page made from a template.

    Args:
        request: the request to be answered.
        template: file name in `templates/`.
        visitor: who is signed in; None: nobody.
        http_status: of the answer.
        values: the values that the template uses.
    """
    parts = parts_of(request)
    text = (
        environment()
        .get_template(template)
        .render(
            visitor=visitor,
            path=request.url.path,
            here=_here(request),
            now=datetime.now(UTC),
            node_title=parts.settings.receive.ae_title,
            is_database_there=parts.live.is_database_there,
            languages=list(request.scope.get("languages", {}).values()),
            texts=_script_texts(),
            **values,
        )
    )
    return HTMLResponse(text, status_code=http_status)

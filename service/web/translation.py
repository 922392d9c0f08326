"""The language of a page: the reader chooses it, catalogues have its texts, and what a catalogue lacks stays English.

In the code, a text is `_("Sign in")`, or `marked("Sign in")` if it is translated later; `make texts` collects them.
Programs (`/api/`) get English.
"""

import gettext
import re
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from http.cookies import CookieError, SimpleCookie
from pathlib import Path

from markupsafe import Markup
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

DOMAIN = "page"
SHIPPED = Path(__file__).parent / "locale"
ENGLISH = "en"
COOKIE = "language"
COUNTS = 200
"""The highest count whose plural form scripts get; a larger one has the form of its last two digits plus a hundred."""


@dataclass(frozen=True)
class Language:
    """A language with its texts."""

    code: str  # as in the html attribute `lang`
    name: str  # in the language itself
    texts: gettext.NullTranslations


_ENGLISH = Language(ENGLISH, "English", gettext.NullTranslations())
_current: ContextVar[Language] = ContextVar("language", default=_ENGLISH)


def marked(text: str) -> str:
    """Return a text as it is; it is collected for translation, and translated when it is shown."""
    return text


def marked_plural(one: str, many: str) -> tuple[str, str]:
    """Return the two forms of a text as they are; they are collected for translation."""
    return one, many


SCRIPT_TEXTS = (
    marked("● live"),
    marked("○ database unreachable, retrying"),
    marked("axial"),
    marked("coronal"),
    marked("sagittal"),
    marked("%(count)s selected"),
    marked("Show %(name)s"),
    marked("%(volume)s cc"),
    marked("empty in the file"),
    marked("touches the edge: %(edges)s"),
    marked("No contours: %(reason)s"),
    marked("Images: %(share)s %%"),
    marked("the node answered %(status)s"),
    marked("Comparing…"),
    marked("Not compared: %(reason)s"),
    marked("A is empty: nothing to compare"),
    marked("B is empty: nothing to compare"),
    marked("A and B are empty: nothing to compare"),
    marked("not in A"),
    marked("not in B"),
    marked("not compared: %(reason)s"),
    marked("in B: %(name)s"),
    marked("nothing differs"),
    marked("most on slice %(slice)s: %(area)s mm² ( m )"),
    marked("slice %(slice)s: %(area)s mm²"),
    marked("received from %(host)s, %(at)s"),
    marked("came back to job %(job)s, %(at)s"),
    marked("shadow job %(job)s, %(model)s, %(at)s"),
    marked("job %(job)s, %(model)s, %(at)s"),
)
SCRIPT_PLURALS = dict([marked_plural("%(count)s job", "%(count)s jobs")])
"""What scripts show; a page passes it to them in its language."""


def _(text: str, **values: object) -> str:
    """Return a text in the language of the request, with values for its placeholders `%(name)s`.

    The translation is text, never HTML: if a value is markup, everything else is escaped.
    """
    return _filled(_current.get().texts.gettext(text), text, values)


def ngettext(one: str, many: str, count: int, **values: object) -> str:
    """Return the form of a text for a count, which replaces its placeholder `%(count)s`."""
    english = one if count == 1 else many
    return _filled(_current.get().texts.ngettext(one, many, count), english, {"count": count, **values})


def pgettext(context: str, text: str) -> str:
    """Return the translation of a text whose meaning depends on the context."""
    return _current.get().texts.pgettext(context, text)


def language() -> Language:
    """Return the language of the request."""
    return _current.get()


def _filled(found: str, english: str, values: Mapping[str, object]) -> str:
    if not values:
        return found
    is_markup = any(hasattr(value, "__html__") for value in values.values())
    for text in (found, english):  # wrong placeholders in a catalogue must not break the page
        try:
            return (Markup.escape(text) if is_markup else text) % values
        except (KeyError, ValueError, TypeError):
            continue
    raise ValueError(f"{english!r} has placeholders without a value")


def number(value: float, decimals: int = 0) -> str:
    """Return a number with the language's decimal sign."""
    return f"{value:.{decimals}f}".replace(".", pgettext("decimal sign", "."))


def clock_time(at: datetime | None) -> str:
    """Return a time in the zone of the node's machine, without the date if it is today."""
    if at is None:
        return ""
    local = at.astimezone()
    is_today = local.date() == datetime.now(UTC).astimezone().date()
    day = pgettext("date and time, as strftime writes them", "%Y-%m-%d %H:%M:%S")
    return local.strftime(pgettext("time, as strftime writes it", "%H:%M:%S") if is_today else day)


def script_texts(texts: Iterable[str], plurals: Mapping[str, str]) -> dict[str, object]:
    """Return what scripts need: texts by their English form, the plural forms, and which form each count has."""
    now = _current.get()
    if now.code == ENGLISH:
        return {}
    counts = range(COUNTS + 1)
    forms = {one: [now.texts.ngettext(one, many, count) for count in counts] for one, many in plurals.items()}
    unique = {one: list(dict.fromkeys(found)) for one, found in forms.items()}
    return {
        "language": now.code,
        "texts": {text: now.texts.gettext(text) for text in texts},
        "forms": unique,
        "which": {one: [unique[one].index(text) for text in found] for one, found in forms.items()},
    }


class Languages:
    """ASGI middleware: sets the language of each request by its cookie or else by Accept-Language."""

    def __init__(self, app: ASGIApp, own: Path) -> None:
        """Read the catalogues that come with the node, and those of the clinic, which take precedence.

        Args:
            app: the application that answers.
            own: the clinic's folder; it need not exist.
        """
        self._app = app
        self.known = read_languages(SHIPPED, own)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on in its language; that of a program is English."""
        if scope["type"] == "http":
            is_program = scope["path"].startswith("/api/")
            _current.set(_ENGLISH if is_program else chosen(Headers(scope=scope), self.known))
            scope["languages"] = self.known
        await self._app(scope, receive, send)


def read_languages(*folders: Path) -> dict[str, Language]:
    """Return the languages of folders with catalogues, by code; a later folder's texts take precedence.

    Raises:
        OSError: a file is not a catalogue; the message names it.
    """
    found: dict[str, Language] = {ENGLISH: _ENGLISH}
    paths = [path for folder in folders for path in sorted(folder.glob(f"*/LC_MESSAGES/{DOMAIN}.mo"))]
    for path in paths:
        code = path.parent.parent.name.replace("_", "-")
        try:
            with path.open("rb") as file:
                texts: gettext.NullTranslations = gettext.GNUTranslations(file)
        except (OSError, ValueError, UnicodeDecodeError) as error:
            raise OSError(f"{path} is not a catalogue of texts: {error}") from error
        if code in found:
            texts.add_fallback(found[code].texts)
        name = texts.pgettext("name of this language", "English")
        found[code] = Language(code, code if name == "English" else name, texts)
    return found


def chosen(headers: Headers, known: Mapping[str, Language]) -> Language:
    """Return the language that a person chose, or else the first of their browser's that is available."""
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        cookie = None
    wishes = [cookie.value] if cookie is not None else []
    for wish in (*wishes, *accepted(headers.get("accept-language", ""))):
        for code in (wish, wish.partition("-")[0]):
            if code in known:
                return known[code]
    return _ENGLISH


def accepted(header: str) -> list[str]:
    """Return the languages of an Accept-Language header, the most wanted first; invalid parts are left out."""
    found: list[tuple[float, str]] = []
    for part in header[:500].split(","):
        match = re.fullmatch(
            r"\s*([A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*)\s*(?:;\s*q=([01](?:\.\d{0,3})?))?\s*", part
        )
        if match:
            found.append((float(match[2] or 1), match[1]))
    return [code for quality, code in sorted(found, key=lambda one: -one[0]) if quality > 0]

"""The language of a page: who asks chooses it, catalogues have its texts, and what a catalogue lacks stays English.

A text stands in the code as `_("Sign in")`, or `marked("Sign in")` where it is translated later; `make texts` gathers
them. Programs (`/api/`) get English.
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
"""Counts whose plural forms scripts get; a larger one has the form of its last two digits plus a hundred."""


@dataclass(frozen=True)
class Language:
    """A language with its texts."""

    code: str  # as in the html attribute `lang`
    name: str  # in the language itself
    texts: gettext.NullTranslations


_ENGLISH = Language(ENGLISH, "English", gettext.NullTranslations())
_current: ContextVar[Language] = ContextVar("language", default=_ENGLISH)


def marked(text: str) -> str:
    """Return a text as it is; it is gathered for translation, and translated where it is shown."""
    return text


def marked_plural(one: str, many: str) -> tuple[str, str]:
    """Return the two forms of a text as they are; they are gathered for translation."""
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
)
SCRIPT_PLURALS = dict([marked_plural("%(count)s job", "%(count)s jobs")])
"""What scripts show; a page hands it over in its language."""


def _(text: str, **values: object) -> str:
    """Return a text in the language of the request, with values in its places `%(name)s`.

    The translation is text, never HTML: where a value is markup, all else is escaped.
    """
    return _filled(_current.get().texts.gettext(text), text, values)


def ngettext(one: str, many: str, count: int, **values: object) -> str:
    """Return the form of a text that belongs to a count, which stands in its place `%(count)s`."""
    english = one if count == 1 else many
    return _filled(_current.get().texts.ngettext(one, many, count), english, {"count": count, **values})


def pgettext(context: str, text: str) -> str:
    """Return a text whose meaning needs a word of context."""
    return _current.get().texts.pgettext(context, text)


def language() -> Language:
    """Return the language of the request."""
    return _current.get()


def _filled(found: str, english: str, values: Mapping[str, object]) -> str:
    if not values:
        return found
    is_markup = any(hasattr(value, "__html__") for value in values.values())
    for text in (found, english):  # a catalogue's wrong places must not take the page away
        try:
            return (Markup.escape(text) if is_markup else text) % values
        except (KeyError, ValueError, TypeError):
            continue
    raise ValueError(f"{english!r} has places that its values do not fill")


def number(value: float, decimals: int = 0) -> str:
    """Return a number with the language's decimal sign."""
    return f"{value:.{decimals}f}".replace(".", pgettext("decimal sign", "."))


def clock_time(at: datetime | None) -> str:
    """Return a time in the zone of the node's machine, without the date where it is today's."""
    if at is None:
        return ""
    local = at.astimezone()
    is_today = local.date() == datetime.now(UTC).astimezone().date()
    day = pgettext("date and time, as strftime writes them", "%Y-%m-%d %H:%M:%S")
    return local.strftime(pgettext("time, as strftime writes it", "%H:%M:%S") if is_today else day)


def script_texts(texts: Iterable[str], plurals: Mapping[str, str]) -> dict[str, object]:
    """Return what scripts need: texts by their English, and plural forms with the form that each count has."""
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
    """ASGI middleware: sets the language of each request, by its cookie, else by Accept-Language."""

    def __init__(self, app: ASGIApp, own: Path) -> None:
        """Read the catalogues that the node brings, and those of the clinic, which come first.

        Args:
            app: what answers.
            own: the clinic's folder; it need not be there.
        """
        self._app = app
        self.known = read_languages(SHIPPED, own)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on in its language; a program's is English."""
        if scope["type"] == "http":
            is_program = scope["path"].startswith("/api/")
            _current.set(_ENGLISH if is_program else chosen(Headers(scope=scope), self.known))
            scope["languages"] = self.known
        await self._app(scope, receive, send)


def read_languages(*folders: Path) -> dict[str, Language]:
    """Return the languages of folders with catalogues, by code; a later folder's texts come first.

    Raises:
        OSError: a catalogue is none; the message names it.
    """
    found: dict[str, Language] = {ENGLISH: _ENGLISH}
    paths = [path for folder in folders for path in sorted(folder.glob(f"*/LC_MESSAGES/{DOMAIN}.mo"))]
    for path in paths:
        code = path.parent.parent.name.replace("_", "-")
        try:
            with path.open("rb") as file:
                texts: gettext.NullTranslations = gettext.GNUTranslations(file)
        except (OSError, ValueError, UnicodeDecodeError) as error:
            raise OSError(f"{path} is no catalogue of texts: {error}") from error
        if code in found:
            texts.add_fallback(found[code].texts)
        name = texts.pgettext("name of this language", "English")
        found[code] = Language(code, code if name == "English" else name, texts)
    return found


def chosen(headers: Headers, known: Mapping[str, Language]) -> Language:
    """Return the language that a person chose, or the first of their browser's that there is."""
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
    """Return the languages of an Accept-Language header, the most wanted first; what is none is left out."""
    found: list[tuple[float, str]] = []
    for part in header[:500].split(","):
        match = re.fullmatch(
            r"\s*([A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*)\s*(?:;\s*q=([01](?:\.\d{0,3})?))?\s*", part
        )
        if match:
            found.append((float(match[2] or 1), match[1]))
    return [code for quality, code in sorted(found, key=lambda one: -one[0]) if quality > 0]

"""Languages of the page: every text is gathered, a catalogue cannot break or subvert a page, programs get English."""

import gettext
import importlib.util
import io
import re
import struct
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from jinja2 import Environment
from markupsafe import Markup
from starlette.datastructures import Headers

from service.application import ActorRole
from service.web import translation, words
from service.web.rendering import environment
from service.web.translation import (
    SCRIPT_PLURALS,
    SCRIPT_TEXTS,
    Language,
    accepted,
    chosen,
    ngettext,
    read_languages,
    script_texts,
)
from tests.service.web.conftest import Page

ROOT = Path(__file__).resolve().parents[3]
TEMPLATES = ROOT / "service/web/templates"
LOCALE = ROOT / "service/web/locale"
SHIPPED = ("de", "fr")
PLACES = re.compile(r"%\((\w+)\)s|%%|%")
NOT_WORDS = re.compile(r"Contour Node|tps-script|·|[^A-Za-z]|\bmm\b|^v$")
one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def bare_texts(source: str) -> list[str]:
    """What of a template is shown and stands outside every expression."""
    source = re.sub(r"\{% block body_class %\}\w*", "", source)
    source = re.sub(r"<(code|pre)>.*?</\1>", "", source, flags=re.DOTALL)
    source = re.sub(r"\{%.*?%\}|\{#.*?#\}", "", re.sub(r"\{\{.*?\}\}", "", source, flags=re.DOTALL))
    shown = re.findall(r'\b(?:placeholder|aria-label|alt|title)="([^"]*)"', source)
    shown += re.sub(r"<[^>]*>", "\n", source).split("\n")
    return [text.strip() for text in shown if NOT_WORDS.sub("", text.strip())]


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.name)
def test_no_template_has_a_bare_text(path: Path) -> None:
    assert bare_texts(path.read_text(encoding="utf-8")) == []


def test_the_rule_of_bare_texts_can_fail() -> None:
    assert bare_texts('<p>{{ _("Job") }} again<input placeholder="Search"><b>12 mm</b>') == [
        "Search",
        "again",
    ]


@pytest.mark.skipif(importlib.util.find_spec("babel") is None, reason="babel is not installed: make dev")
def test_the_catalogues_hold_every_text_and_are_compiled() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "web/texts.py", "--check"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_scripts_show_the_texts_that_they_are_given() -> None:
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "web/src").glob("*.ts"))
    assert set(re.findall(r'\btext\("([^"]+)"', sources)) == set(SCRIPT_TEXTS)
    assert set(re.findall(r'\bplural\("([^"]+)", "([^"]+)"', sources)) == set(SCRIPT_PLURALS.items())


@pytest.mark.parametrize("code", SHIPPED)
def test_translations_are_whole_and_have_the_places_of_the_english(code: str) -> None:
    texts = catalogue(code)
    faults = [
        english
        for english, text in texts.items()
        if set(PLACES.findall(text)) - {""} != set(PLACES.findall(english)) - {""}
        and "strftime" not in english
    ]
    assert faults == []
    gathered = (LOCALE / code / "LC_MESSAGES/page.po").read_text(encoding="utf-8").count("\nmsgid ") - 1
    assert len({text.partition("|")[0] for text in texts}) == gathered > 200


def catalogue(code: str) -> dict[str, str]:
    """The translated texts of a compiled catalogue, plural forms each for itself; read by its format."""
    data = (LOCALE / code / f"LC_MESSAGES/{translation.DOMAIN}.mo").read_bytes()
    _magic, _version, count, ids, texts = struct.unpack("<5I", data[:20])
    found = {}
    for number in range(count):
        pair = []
        for table in (ids, texts):
            length, at = struct.unpack("<2I", data[table + 8 * number :][:8])
            pair.append(data[at : at + length].decode().split("\0"))
        for form, text in enumerate(pair[1]):
            found[f"{pair[0][0]}|{form}" if len(pair[1]) > 1 else pair[0][0]] = text
    found.pop("")
    return found


@pytest.fixture
def spoken(request: pytest.FixtureRequest, tmp_path: Path) -> object:
    """Speak the language of a fixture's parameter: a shipped code, or the entries of a catalogue."""
    wanted = request.param
    if isinstance(wanted, dict):
        write_catalogue(tmp_path / "xx/LC_MESSAGES/page.mo", wanted)
    languages = read_languages(LOCALE, tmp_path)
    token = translation._current.set(languages["xx" if isinstance(wanted, dict) else wanted])
    yield languages
    translation._current.reset(token)


POLISH = (
    "Plural-Forms: nplurals=3; plural=(n==1 ? 0 : n%10>=2 && n%10<=4 && (n%100<10 || n%100>=20) ? 1 : 2);\n"
)


def write_catalogue(path: Path, texts: dict[str, str]) -> None:
    """Write a compiled catalogue as msgfmt does."""
    head = "Content-Type: text/plain; charset=utf-8\n"
    entries = sorted({"": head + texts.pop("", ""), **texts}.items())
    ids = [one.encode() for one, _ in entries]
    found = [text.encode() for _, text in entries]
    at = 28 + 16 * len(entries)
    tables, strings = [], b""
    for group in (ids, found):
        for one in group:
            tables.append(struct.pack("<2I", len(one), at + len(strings)))
            strings += one + b"\0"
    path.parent.mkdir(parents=True)
    header = struct.pack("<7I", 0x950412DE, 0, len(entries), 28, 28 + 8 * len(entries), 0, at)
    path.write_bytes(header + b"".join(tables) + strings)


ONE, MANY = "%(count)s job", "%(count)s jobs"


@pytest.mark.parametrize(
    "spoken",
    [{"": POLISH, f"{ONE}\0{MANY}": "%(count)s zadanie\0%(count)s zadania\0%(count)s zadan"}],
    indirect=True,
)
def test_a_language_with_three_plural_forms_has_them_on_pages_and_in_scripts(spoken: object) -> None:
    assert [ngettext(ONE, MANY, count) for count in (1, 3, 12, 22)] == [
        "1 zadanie",
        "3 zadania",
        "12 zadan",
        "22 zadania",
    ]
    given = script_texts((), {ONE: MANY})
    which = given["which"][ONE]  # type: ignore[index]
    assert [given["forms"][ONE][which[count]] for count in (1, 22, 112)] == [  # type: ignore[index]
        "%(count)s zadanie",
        "%(count)s zadania",
        "%(count)s zadan",
    ]


@pytest.mark.parametrize(
    "spoken",
    [{"Job": "<script>x</script>", "For %(name)s": "<i>%(name)s</i>", "Lost %(a)s": "%(b)s %s"}],
    indirect=True,
)
def test_a_translation_is_never_html_and_wrong_places_leave_the_english(spoken: object) -> None:
    template = Environment(autoescape=True).from_string("{{ _('Job') }}|{{ _('For %(name)s', name=n) }}")
    shown = template.render(_=translation._, n=Markup("<strong>{}</strong>").format("<b>"))
    assert shown == "&lt;script&gt;x&lt;/script&gt;|&lt;i&gt;<strong>&lt;b&gt;</strong>&lt;/i&gt;"
    assert translation._("Lost %(a)s", a="way") == "Lost way"


@pytest.mark.parametrize("spoken", ["de"], indirect=True)
def test_dates_numbers_units_and_times_follow_the_language(spoken: object) -> None:
    at = datetime(2026, 3, 5, 7, 8, 9, tzinfo=UTC)
    assert translation.clock_time(at).startswith("05.03.2026 ")
    assert translation.number(1234.56, 1) == "1234,6"
    assert words.duration(4.2) == "4,2 s"
    assert words.ago(at, at + timedelta(minutes=5)) == "vor 5 min"
    volume = environment().from_string("{{ _('%(volume)s cc', volume=x | number(1)) }}")
    assert volume.render(x=12.34) == "12,3 cm³"


def test_the_wish_of_the_person_comes_before_that_of_the_browser() -> None:
    known = {code: Language(code, code, gettext.NullTranslations()) for code in ("en", "de", "pt-BR")}

    def code(**headers: str) -> str:
        return chosen(Headers({name.replace("_", "-"): value for name, value in headers.items()}), known).code

    assert code(accept_language="de-AT,de;q=0.9,en;q=0.5") == "de"
    assert code(accept_language="it, pt-BR;q=0.3, de;q=0.2") == "pt-BR"
    assert code(accept_language="de;q=0, en") == "en"
    assert code(accept_language="de", cookie="language=en") == "en"
    assert code(accept_language="de", cookie="language=../../x") == "de"
    assert code(accept_language=",;q=2,\x00" + "x" * 9999) == "en"
    assert accepted("fr;q=0.1, de") == ["de", "fr"]


def test_a_file_that_is_no_catalogue_is_named(tmp_path: Path) -> None:
    path = tmp_path / "it/LC_MESSAGES/page.mo"
    path.parent.mkdir(parents=True)
    path.write_bytes(io.BytesIO(b"no catalogue at all").getvalue())
    with pytest.raises(OSError, match=r"page\.mo is not a catalogue"):
        read_languages(tmp_path)


@one_database
def test_a_page_is_german_where_the_browser_asks_and_english_where_the_person_does(page: Page) -> None:
    anna = page.person("anna", ActorRole.ADMIN)
    german = {"accept-language": "de-DE,de;q=0.9"}
    text = anna.get("/", headers=german).text
    assert '<html lang="de">' in text
    assert "Noch keine Serie empfangen" in text
    for path in (
        "/",
        "/destinations",
        "/models",
        "/node",
        "/audit",
        "/people",
        "/tokens",
        "/rules",
        "/nothing",
    ):
        assert anna.get(path, headers=german).status_code in (200, 404), path
    assert anna.get("/nothing", headers=german).text.count("Nicht gefunden") == 2
    problem = anna.get("/api/v1/jobs/99", headers=german).json()
    assert (problem["title"], "99" in problem["detail"]) == ("Not Found", True)
    chosen_now = anna.post("/language", data={"code": "en", "next": "//evil.example"})
    assert chosen_now.headers["location"] == "/"
    text = anna.get("/", headers=german).text
    assert '<html lang="en">' in text
    assert "No series received yet" in text
    assert "data-texts" not in text

"""A page as data, written as one HTML file or as a PDF: title, facts, sections of words, tables and figures."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from weasyprint import HTML


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A table's cell; `alarm` marks what a person must look at."""

    text: str
    bold: bool = False
    alarm: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table: headings, rows of cells or plain texts, and a note below it; `prose`: it holds text, not numbers."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell | str]]
    note: str = ""
    prose: bool = False


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A drawing: SVG text or PNG bytes, with a caption; two are placed side by side unless `wide`."""

    caption: str
    svg: str = ""
    png: bytes = b""
    wide: bool = False

    @property
    def source(self) -> str:
        """The figure as a data URL, so that the page needs no other file."""
        kind, data = ("svg+xml", self.svg.encode()) if self.svg else ("png", self.png)
        return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of a page under a heading."""

    title: str
    paragraphs: Sequence[str] = ()
    items: Sequence[str] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()


@dataclass(frozen=True, kw_only=True)
class Page:
    """A whole page. `facts` are pairs shown on top; `signatures` are lines to sign on."""

    title: str
    subtitle: str = ""
    facts: Sequence[tuple[str, str]] = ()
    sections: Sequence[Section] = ()
    signatures: Sequence[str] = field(default=())


def html_of(page: Page) -> str:
    """Return the page as self-contained HTML; every text is escaped."""
    return _environment().get_template("page.html").render(page=page)


def write_page(page: Page, path: Path, *, pdf: bool = True) -> list[Path]:
    """Write `path` with the suffixes .html and .pdf, and return what was written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = html_of(page)
    html = path.with_name(path.name + ".html")
    html.write_text(text, encoding="utf-8")
    if not pdf:
        return [html]
    document = path.with_name(path.name + ".pdf")
    HTML(string=text).write_pdf(document)
    return [html, document]


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("evaluation.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )

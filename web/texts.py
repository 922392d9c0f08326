"""Gathers the texts of the page into its catalogues, and compiles them: `make texts`; with --check only compares.

A new text stands in each `page.po` with nothing beside it; whoever knows the language fills it in and calls this again.
"""

import argparse
import io
import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

WEB = Path(__file__).resolve().parent.parent / "service/web"
METHODS = [("templates/**.html", "jinja2.ext:babel_extract"), ("**.py", "python")]
KEYWORDS = {"_": None, "marked": None, "marked_plural": (1, 2), "ngettext": (1, 2), "pgettext": ((1, "c"), 2)}


def gathered() -> Catalog:
    """Return every text of the page, without translations."""
    catalogue = Catalog(charset="utf-8", project="Contour Node")
    for name, _line, text, _comments, context in extract_from_dir(WEB, METHODS, keywords=KEYWORDS):
        catalogue.add(text, locations=[(name, None)], context=context)
    return catalogue


def written(path: Path, texts: Catalog) -> dict[Path, bytes]:
    """Return the files of a language as they should be: its catalogue with every text, and that compiled."""
    with path.open("rb") as file:
        catalogue = read_po(file, locale=path.parent.parent.name)
    catalogue.update(texts, no_fuzzy_matching=True, update_creation_date=False)
    catalogue.obsolete.clear()
    po, mo = io.BytesIO(), io.BytesIO()
    write_po(po, catalogue, width=100, sort_by_file=False, omit_header=False, include_lineno=False)
    write_mo(mo, catalogue)
    return {path: po.getvalue(), path.with_suffix(".mo"): mo.getvalue()}


def main() -> int:
    """Bring the catalogues up to date; return 1 where --check finds one that is not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit code 1 where something is old"
    )
    parser.add_argument("--list", action="store_true", help="print every text")
    parser.add_argument("--folder", type=Path, default=WEB / "locale", help="where the languages are")
    arguments = parser.parse_args()
    texts, old = gathered(), []
    if arguments.list:
        sys.stdout.write("\n".join(str(message.id) for message in texts if message.id) + "\n")
        return 0
    for path in sorted(arguments.folder.glob("*/LC_MESSAGES/page.po")):
        for name, content in written(path, texts).items():
            if not name.exists() or name.read_bytes() != content:
                old.append(name)
                if not arguments.check:
                    name.write_bytes(content)
    sys.stdout.write(
        "".join(f"{name}: {'is old: make texts' if arguments.check else 'written'}\n" for name in old)
    )
    return 1 if arguments.check and old else 0


if __name__ == "__main__":
    raise SystemExit(main())

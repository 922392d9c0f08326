"""The verb `template`: check a template file, or make one from Eclipse's XML or a table."""

import argparse
from collections.abc import Callable, Collection

from imaging.structures import CATALOGUE
from inference.contract import load_contracts
from service.cli.output import print_table, say
from service.errors import Refused
from service.template import Template, load_template
from service.template.eclipse import read_eclipse
from service.template.imported import ImportedTemplate
from service.template.model import Entry
from service.template.references import colour_of, type_of
from service.template.table import read_table


def run(arguments: argparse.Namespace) -> int:
    """Run one act; Refused says what is wrong with a file."""
    acts: dict[str, Callable[[argparse.Namespace, Collection[str]], int]] = {
        "check": _check,
        "import-eclipse": _import_eclipse,
        "import-csv": _import_table,
    }
    return acts[arguments.act](arguments, _codes(arguments))


def _codes(arguments: argparse.Namespace) -> Collection[str]:
    if arguments.model is None:
        return tuple(CATALOGUE)
    contracts = load_contracts(arguments.settings_tree.triton.model_repository)
    if arguments.model not in contracts:
        raise Refused(f"no model '{arguments.model}'; there are: {', '.join(contracts) or 'none'}")
    return contracts[arguments.model].labels


def _check(arguments: argparse.Namespace, codes: Collection[str]) -> int:
    template = load_template(arguments.file, codes)
    rows = _rows(template)
    _print(("number", "name", "type", "colour", "made from"), rows)
    if template.unlisted == "send":
        say("and every other structure of the model")
    return 0


def _rows(template: Template) -> list[tuple[str, ...]]:
    numbers = template.numbers()
    return [
        (
            str(numbers.get(entry.name, "not sent")),
            entry.name,
            str(type_of(entry) or ""),
            ",".join(str(value) for value in colour_of(entry) or ()),
            _made_from(entry),
        )
        for entry in template.structure
    ]


def _made_from(entry: Entry) -> str:
    start = "outline of the patient" if entry.external else str(entry.source)
    return ", ".join([start, *(step.words() for step in entry.steps)])


def _import_eclipse(arguments: argparse.Namespace, codes: Collection[str]) -> int:
    return _write(read_eclipse(arguments.file.read_bytes(), codes), arguments, codes)


def _import_table(arguments: argparse.Namespace, codes: Collection[str]) -> int:
    return _write(read_table(arguments.file.read_bytes(), arguments.file.stem, codes), arguments, codes)


def _write(imported: ImportedTemplate, arguments: argparse.Namespace, codes: Collection[str]) -> int:
    """Report what was matched, then write the template, unless it would be invalid."""
    _print(
        ("name", "in the template", "meaning"),
        [
            (placed.row.name, "yes" if placed.used else "as a comment", placed.words())
            for placed in imported.placed
        ],
    )
    for note in imported.notes:
        say(f"note: {note}")
    text = imported.toml(codes)
    if arguments.output.exists() and not arguments.overwrite:
        raise Refused(f"{arguments.output} exists; give another name or --overwrite")
    arguments.output.write_text(text, encoding="utf-8")
    used = sum(placed.used for placed in imported.placed)
    say(f"{used} of {len(imported.placed)} structures written to {arguments.output}")
    return 0


def _print(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    print_table(columns, rows, has_lines=False)

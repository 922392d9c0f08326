"""The model card of an imported version: origin, licence, structures, tests and warnings."""

from collections.abc import Sequence

from inference.contract import ModelContract
from inference.importing.draft import ImportDraft
from inference.importing.labels import LabelRow

CARD_FILE = "README.md"

_CARD = """\
# {name} version {version}

{description}

> **For research use.** An imported model: nobody has tested it on this node's patients. Commission it before a rule
> uses it (`contour-node commission`), and let a person check every contour.

| | |
|---|---|
| made with | {maker} |
| images | {inputs} |
| body region | {body_region} |
| licence of the weights | {licence} |
| trained on | {data} |
| citation | {citation} |
| package sha256 | `{checksum}` |

## As it was read

{facts}

## Beware

{warnings}

## Structures

| bit | maker's name | code | name that goes out | recognised by |
|---|---|---|---|---|
{structures}
{left_out}
## Tested at the import

{remarks}
"""


def card(
    contract: ModelContract, draft: ImportDraft, rows: Sequence[LabelRow], remarks: Sequence[str]
) -> str:
    """Write the card in Markdown."""
    kept = [row for row in rows if row.code]
    left_out = [row.label for row in rows if not row.code]
    inputs = "; ".join(f"{accepted.modality}, {accepted.intensities}" for accepted in contract.inputs)
    return _CARD.format(
        name=contract.name,
        version=contract.version,
        description=_cell(contract.description),
        maker=_cell(draft.maker),
        inputs=inputs,
        body_region=contract.body_region,
        licence=_cell(contract.licence),
        data=_cell(contract.provenance.data),
        citation=_cell(contract.citation),
        checksum=contract.package_sha256,
        facts=_list(draft.facts),
        warnings=_list(draft.warnings) if draft.warnings else "Nothing beyond the above was found.",
        structures="\n".join(
            f"| {bit} | {_cell(row.label)} | {row.code} | {_cell(row.name)} | {_cell(row.recognised)} |"
            for bit, row in enumerate(kept)
        ),
        left_out=f"\nLeft out at the import: {_cell(', '.join(left_out))}.\n" if left_out else "",
        remarks=_list(remarks),
    )


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {_cell(line)}" for line in lines)


def _cell(text: str) -> str:
    """Return foreign text on one line, so that it cannot break out of its table cell."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")

"""The dataset's card: CARD.md, made from the content of the dataset's folder."""

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from imaging.atomic_files import write_atomically
from training.cases import Subset
from training.dataset import Dataset, load_record
from training.preparation.checks import FINDINGS_FILE
from training.preparation.names import NAMES_FILE, NameTable
from training.split import SPLIT_FILE, Split


def write_card(dataset: Path, split: Split, names: NameTable, unused: Sequence[tuple[Path, str]]) -> None:
    """Write CARD.md: patients by subset, structures with volumes, names, findings, files that were not used."""
    found = Dataset(dataset)
    text = "\n".join(
        [
            f"# Dataset {dataset.name}",
            "",
            f"{len(found.index.cases)} cases of {len(set(found.index.cases.values()))} patients; names are pseudonyms, "
            f"whose salt is in {SPLIT_FILE}: keep that file as safe as the patients' data.",
            "",
            *_subsets(found, split),
            "",
            *_structures(found),
            "",
            *_names(names),
            "",
            *_findings(dataset),
            "",
            *_unused(unused),
        ]
    )
    write_atomically(dataset / "CARD.md", text.rstrip() + "\n")


def _subsets(found: Dataset, split: Split) -> list[str]:
    rows = ["| subset | patients | cases |", "|---|---|---|"]
    for subset in Subset:
        names = found.names(subset)
        rows.append(f"| {subset} | {len({found.index.cases[n] for n in names})} | {len(names)} |")
    digest = f"The split is fixed by patient ({SPLIT_FILE}, sha256 {split.sha256[:16]}...): new patients are added, none moves."
    return ["## Split", "", *rows, "", digest]


def _structures(found: Dataset) -> list[str]:
    volumes: dict[str, list[float]] = {code: [] for code in found.structures}
    spacings: Counter[str] = Counter()
    for name in found.index.cases:
        record = load_record(found.folder / "cases" / name)
        spacings[" x ".join(f"{s:.2f}" for s in record.spacing_zyx_mm)] += 1
        for code, drawn in record.drawn.items():
            if drawn:
                volumes[code].append(record.volume_cc[code])
    rows = ["| structure | cases that count | median cc | least cc | most cc |", "|---|---|---|---|---|"]
    rows += [
        f"| {code} | {len(v)} | {np.median(v):.1f} | {min(v):.1f} | {max(v):.1f} |"
        if v
        else f"| {code} | 0 | | | |"
        for code, v in volumes.items()
    ]
    common = ", ".join(f"{spacing} mm ({count})" for spacing, count in spacings.most_common(5))
    return ["## Structures", "", *rows, "", f"Voxels (z x y x x): {common}."]


def _names(names: NameTable) -> list[str]:
    unknown = names.unknown
    said = f"{sum(1 for row in names.rows if names.structure(row.roi_name))} of {len(names.rows)} ROI names mean a structure"
    listed = (
        f"; unknown: {', '.join(unknown[:40])}{' and others' if len(unknown) > 40 else ''}" if unknown else ""
    )
    return ["## Names", "", f"{said} ({NAMES_FILE}){listed}."]


def _findings(dataset: Path) -> list[str]:
    with (dataset / FINDINGS_FILE).open(newline="", encoding="utf-8") as rows:
        counts = Counter((row["kind"], row["decision"]) for row in csv.DictReader(rows))
    rows_ = ["| finding | decision | count |", "|---|---|---|"]
    rows_ += [f"| {kind} | {decision} | {count} |" for (kind, decision), count in sorted(counts.items())]
    return [
        "## Findings",
        "",
        f"Each stands in {FINDINGS_FILE}; its decisions can be changed there.",
        "",
        *rows_,
    ]


def _unused(unused: Sequence[tuple[Path, str]]) -> list[str]:
    counts = Counter(reason for _, reason in unused)
    rows = [
        f"- {count} x {reason}; the first is {next(p for p, r in unused if r == reason).name}"
        for reason, count in sorted(counts.items())
    ]
    return ["## Files that were not used", "", *(rows or ["None."])]

"""Whether, structure by structure, the adapted network is accepted or the old weights are kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.statistics import paired_wilcoxon
from training.study_table import Scores


@dataclass(frozen=True, kw_only=True)
class Acceptance:
    """Mean Dice of a structure over the same patients before and after, and whether the new weights are accepted."""

    structure: str
    patients: int
    before: float
    after: float
    p: float | None  # paired Wilcoxon over patients
    accepted: bool

    @property
    def in_words(self) -> str:
        """The decision and its reason, for the table."""
        if self.accepted:
            return "accepted"
        return "keeps its old weights: " + (
            "got worse" if self.after < self.before else "no better, or its partner is not"
        )


def decisions(before: Scores, after: Scores, pairs: Sequence[tuple[str, str]]) -> list[Acceptance]:
    """Accept structures whose mean Dice rose; of a left-right pair, both or neither.

    Scores are Dice by patient and structure of the same validation patients; a structure that no patient has is not
    accepted.
    """
    structures = list(dict.fromkeys(code for row in before.values() for code in row))
    values = {code: _paired(before, after, code) for code in structures}
    rose = {code: bool(np.mean(new) > np.mean(old)) for code, (old, new) in values.items()}
    partner = {one: other for pair in pairs for one, other in (pair, pair[::-1])}
    return [
        Acceptance(
            structure=code,
            patients=len(old),
            before=float(np.mean(old)),
            after=float(np.mean(new)),
            p=paired_wilcoxon(new, old).p,
            accepted=rose[code] and rose.get(partner.get(code, code), True),
        )
        for code, (old, new) in values.items()
    ]


def _paired(before: Scores, after: Scores, code: str) -> tuple[list[float], list[float]]:
    names = [name for name, row in before.items() if code in row]
    return [before[name][code] for name in names], [after[name][code] for name in names]


def as_table(found: Sequence[Acceptance], old_style: Mapping[str, tuple[float, float]]) -> str:
    """Return a Markdown table; ``old_style``: mean Dice by structure on old patients before and after, if any."""
    lines = [
        "| structure | patients | before | after | difference | p | on old patients before | after | |",
        "|" + "---|" * 9,
    ]
    for one in found:
        p = "" if one.p is None else "< 0.001" if one.p < 0.001 else f"{one.p:.3f}"
        old = [f"{value:.3f}" for value in old_style.get(one.structure, ())] or ["", ""]
        cells = [
            one.structure, str(one.patients), f"{one.before:.3f}", f"{one.after:.3f}", f"{one.after - one.before:+.3f}", p,
            *old, one.in_words,
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)

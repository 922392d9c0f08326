"""What a round of the power trial did and found, and the summary of all rounds."""

from dataclasses import dataclass, field

from typing_extensions import override

from reliability.series import AnswerLog, Series
from reliability.volatile_disk import PowerCut


@dataclass(kw_only=True)
class PowerCutRound:
    """One round: what was sent, what each cut left, what was found."""

    number: int
    answers: AnswerLog = field(default_factory=AnswerLog)
    series: list[Series] = field(default_factory=list)
    cuts: list[PowerCut] = field(default_factory=list)
    acknowledged: int = 0
    """Slices that had been answered with 0x0000 when the power was cut."""
    unfinished: int = 0
    recorded: int = 0
    """Rows that were lost in the cut and restored from files at the start."""
    set_aside: int = 0
    controls_kept: int = 0
    """Files that were never synced but survived a cut; if there is one, the round proves nothing."""
    wrong: list[str] = field(default_factory=list)

    @override
    def __str__(self) -> str:
        """Return one line."""
        cuts = ", ".join(
            f"{one.unflushed - one.kept} of {one.unflushed} cached blocks lost" for one in self.cuts
        )
        return (
            f"round {self.number}: {len(self.series)} series, {self.acknowledged} of "
            f"{sum(len(one.slices) for one in self.series)} slices acknowledged, {len(self.cuts)} cuts ({cuts}) | "
            f"{self.recorded} rows restored, {self.unfinished} parts removed, {self.set_aside} set aside | "
            f"{'WRONG' if self.wrong else 'ok'}"
        )


def summary(rounds: list[PowerCutRound]) -> str:
    """Summarise all rounds in a few lines."""
    cuts = [cut for one in rounds for cut in one.cuts]
    kept = sum(one.controls_kept for one in rounds)
    return (
        f"{len(rounds)} rounds, {len(cuts)} power cuts, {sum(one.acknowledged for one in rounds)} slices acknowledged "
        f"before them, {sum(one.recorded for one in rounds)} rows restored from files, "
        f"{sum(one.set_aside for one in rounds)} files set aside\n"
        f"{sum(cut.unflushed - cut.kept for cut in cuts)} of {sum(cut.unflushed for cut in cuts)} blocks in the disk's "
        f"cache lost; the control that is never synced was lost {len(cuts) - kept} times of {len(cuts)}\n"
        f"{sum(bool(one.wrong) for one in rounds)} rounds in which something was wrong"
    )

"""The other series of a study, for rules that wait for them."""

import re
from collections.abc import Set
from dataclasses import dataclass, field
from datetime import timedelta
from io import BytesIO

from pydicom import dcmread

from service.assemble.silence import SilenceWatch
from service.config import Rule, Settings, WaitFor
from service.store import FileStore, OpenJob, SeriesRepository, StudySeries


@dataclass(frozen=True, kw_only=True)
class MissingSeries:
    """What a study still lacks, and how long it has been quiet."""

    words: str
    silence: timedelta


@dataclass(kw_only=True)
class StudyRequirements:
    """Tells whether a study has the series that a rule waits for."""

    repository: SeriesRepository
    files: FileStore
    settings: Settings
    silence: SilenceWatch
    _descriptions: dict[str, str] = field(default_factory=dict)

    def lack(self, job: OpenJob, rule: Rule, ready: Set[str]) -> MissingSeries | None:
        """Return the first requirement that the study of a complete series does not meet; None if it meets all.

        Args:
            job: the series that waits.
            rule: its rule.
            ready: series whose own images have just been found complete.
        """
        if not rule.wait_for:
            return None
        series = self.repository.series_of_study(job.study_uid)
        whole = {one.series_uid for one in series if self._is_complete(one, ready)}
        lacking = [text for wanted in rule.wait_for if (text := self._lacking(wanted, series, whole))]
        if not lacking:
            return None
        return MissingSeries(words="; ".join(lacking), silence=min(map(self._silence, series)))

    def forget(self) -> None:
        """Forget the descriptions; called when no job is waiting."""
        self._descriptions.clear()

    def _is_complete(self, series: StudySeries, ready: Set[str]) -> bool:
        """Tell whether a series is complete: CT once it is or could be queued, any other once it is quiet."""
        if series.is_closed or series.series_uid in ready:
            return True
        quiet = timedelta(seconds=self.settings.assemble.quiet_s)
        return not series.has_job and self._silence(series) >= quiet

    def _silence(self, series: StudySeries) -> timedelta:
        return self.silence.of(("series", series.series_uid, series.sample_path), series.last_received_at)

    def _lacking(self, wanted: WaitFor, series: list[StudySeries], whole: Set[str]) -> str:
        matching = [one for one in series if self._matches(wanted, one)]
        here = sum(one.series_uid in whole for one in matching)
        if here >= wanted.count:
            return ""
        growing = len(matching) - here
        incomplete = f", {growing} more not complete" if growing else ""
        return f"for {wanted.words} in this study: {here} of {wanted.count} here{incomplete}"

    def _matches(self, wanted: WaitFor, series: StudySeries) -> bool:
        if wanted.modality not in (None, series.modality):
            return False
        if wanted.series_description is None:
            return True
        return re.search(wanted.series_description, self._description(series), re.IGNORECASE) is not None

    def _description(self, series: StudySeries) -> str:
        """Return the Series Description of a series, read from one of its files."""
        if series.series_uid not in self._descriptions:
            image = dcmread(
                BytesIO(self.files.read(series.sample_path)),
                stop_before_pixels=True,
                specific_tags=["SeriesDescription"],
            )
            text = str(image.SeriesDescription or "") if "SeriesDescription" in image else ""
            self._descriptions[series.series_uid] = text
        return self._descriptions[series.series_uid]

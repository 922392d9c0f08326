"""Inspect a job's images: do they form one complete stack, and what are the attributes that rules test?"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from pydicom.errors import InvalidDicomError

from imaging.ct.series import SourceFile, check_series, same_pixels
from imaging.errors import ImageRefused, RefusalCode
from service.assemble.looks import Look, aside_in, choose, look_at, nothing_in
from service.assemble.series_header import read_series_header
from service.config import Rule, SeriesFacts, Settings
from service.config.matching import RuleTooSlow
from service.store import FileLost, FileStore, OpenJob, SeriesRepository, StoredInstance

log = logging.getLogger(__name__)

CURED_BY_MORE_SLICES = frozenset(
    {RefusalCode.MISSING_SLICES, RefusalCode.TOO_FEW_SLICES, RefusalCode.IRREGULAR_SPACING}
)


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """The result of inspecting a job's images when it had `slice_count` of them."""

    slice_count: int
    rule: Rule | None
    facts: SeriesFacts
    refusal: str = ""  # why they do not form a stack
    is_curable: bool = False  # whether more slices could change that
    notes: tuple[str, ...] = ()
    doubt: str = ""
    is_unreadable: bool = False  # whether an image, its file, or what a rule tests cannot be read
    nothing: str = ""  # what the series consists of, if there is nothing to contour
    cone_beam: str = ""  # the attribute that says that it is cone-beam CT
    shadows: tuple[Rule, ...] = ()  # rules of shadow jobs that match too
    rule_for_ct: Rule | None = None  # of a cone-beam CT: the rule that would take it as a CT


@dataclass(kw_only=True)
class SeriesInspector:
    """Reads the images of jobs; images of a job that has not grown are read only once."""

    repository: SeriesRepository
    files: FileStore
    settings: Settings
    _known: dict[int, Inspection] = field(default_factory=dict)

    def keep_only(self, job_ids: set[int]) -> None:
        """Forget the findings of all other jobs."""
        self._known = {job_id: finding for job_id, finding in self._known.items() if job_id in job_ids}

    def finding(self, job: OpenJob) -> Inspection | None:
        """Inspect the images that the job has now; None if a file cannot be read at the moment."""
        known = self._known.get(job.id)
        if known is not None and known.slice_count == job.slice_count:
            return known
        try:
            self._known[job.id] = self._examine(job)
        except (FileLost, InvalidDicomError) as reason:
            damage = self.damage(job)
            if not damage:
                log.warning("job %d will be inspected again: %s", job.id, reason)
                return None
            return _unjudged(job, damage)
        return self._known[job.id]

    def damage(self, job: OpenJob) -> str:
        """Return the reason to refuse a job with a missing or damaged image; empty if all images are intact."""
        for instance in self.repository.instances_of(job.id):
            if not self.files.verify(instance.file):
                self.repository.damaged(instance.file.path)
                message = f"the stored image {instance.sop_instance_uid} is missing or damaged"
                return f"{message}; send the series again"
        return ""

    def _examine(self, job: OpenJob) -> Inspection:
        instances = self.repository.instances_of(job.id)
        looks: list[Look] = []
        series, refused = None, None
        try:
            series = check_series(self._looked_at(job, instances, looks), self.settings.checks.rescale_types)
        except ImageRefused as reason:
            refused = reason
        looks += [look_at(self._source(instance)) for instance in instances[len(looks) :]]
        try:
            choice = choose(job, looks, self.settings)
        except RuleTooSlow as reason:
            return _unjudged(job, str(reason))
        wanted = job.wanted.rule
        found = Inspection(
            slice_count=job.slice_count,
            rule=self.settings.rule_named(wanted) if wanted else choice.rule,
            facts=choice.facts,
            notes=choice.notes,
            is_unreadable=any(look.kind is None for look in looks),
            nothing=nothing_in(looks),
            cone_beam=choice.cone_beam,
            shadows=choice.shadows,
            rule_for_ct=choice.rule_for_ct,
        )
        if refused is not None:
            return replace(
                found,
                refusal=refused.message + self._pixels_of_twins(refused.images, instances),
                is_curable=refused.code in CURED_BY_MORE_SLICES,
            )
        if series is None:
            raise AssertionError("a series that is not refused was checked")
        aside = aside_in(looks, [instance.sop_instance_uid for instance in instances])
        return replace(found, notes=(*choice.notes, *aside, *series.notes), doubt=series.doubt)

    def _looked_at(
        self, job: OpenJob, instances: Sequence[StoredInstance], looks: list[Look]
    ) -> Iterator[SourceFile]:
        """Read each image's file once, and its attributes on the way.

        The first image's series facts are recorded, for users and for trying rules on them later.
        """
        for instance in instances:
            file = self._source(instance)
            if not looks:
                self.repository.record_series(read_series_header(file.data, job))
            looks.append(look_at(file))
            yield file

    def _source(self, instance: StoredInstance) -> SourceFile:
        return SourceFile(name=instance.sop_instance_uid, data=self.files.read(instance.file.path))

    def _pixels_of_twins(self, uids: Sequence[str], instances: Sequence[StoredInstance]) -> str:
        """Describe the fault of two images at one position; empty if there is none."""
        twins = [instance for instance in instances if instance.sop_instance_uid in uids]
        if len(twins) != 2:
            return ""
        one, other = (self.files.read(twin.file.path) for twin in twins)
        if same_pixels(one, other):
            return " Their pixels are the same: it is one image under two UIDs."
        return " Their pixels differ: they are two images."


def _unjudged(job: OpenJob, reason: str) -> Inspection:
    """Return the finding of a job whose images cannot be looked at, or not be matched with the rules."""
    facts = SeriesFacts(called_aet=job.called_aet, calling_aet=job.calling_aet)
    return Inspection(slice_count=job.slice_count, rule=None, facts=facts, refusal=reason, is_unreadable=True)

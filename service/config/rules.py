"""Rules: which series is contoured by which model, and where the structure set goes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Annotated

from pydantic import Field

from imaging.modality import Modality
from service.config.checks import Doubted
from service.config.section import SettingsSection
from service.config.study_requirements import AfterWaiting, WaitFor
from service.config.values import AeTitle, Name, Regex


@dataclass(frozen=True, kw_only=True)
class SeriesFacts:
    """What a rule can test of a CT or MR series; an absent attribute is an empty string."""

    called_aet: str
    calling_aet: str
    modality: Modality = Modality.CT
    body_part: str = ""
    series_description: str = ""


class CompanionObject(StrEnum):
    """An object that is sent along with the structure set."""

    SEGMENTATION = "segmentation"
    REPORT = "report"
    CAPTURE = "capture"


class JobPurpose(StrEnum):
    """What the results of a rule's jobs are for; only clinical ones are delivered."""

    CLINICAL = "clinical"
    SHADOW = "shadow"  # contoured alongside another job of the same series
    EVALUATION = "evaluation"


class SplitSeries(StrEnum):
    """What happens to a series of which other images came under another AE title."""

    HOLD = "hold"
    MERGE = "merge"
    SEPARATE = "separate"


class OnFailure(StrEnum):
    """The failure report that destinations get when a job has failed for good."""

    NONE = "none"
    STRUCTURE_SET = "structure_set"
    CAPTURE = "capture"


class Implausible(StrEnum):
    """What happens to a structure that is implausible by the model's limits."""

    LEAVE_OUT = "leave_out"
    REFUSE = "refuse"
    FLAG = "flag"


class OtherRegion(StrEnum):
    """What happens to a CT that does not show the part of the body that the model is for."""

    REFUSE = "refuse"
    FLAG = "flag"


class Rule(SettingsSection):
    """One rule; the first that matches a series decides."""

    name: Name = Field(description="Name of the rule in jobs, logs and the command line.")
    called_aet: AeTitle | None = Field(
        default=None,
        description="AE title the sender must have called; absent: any that this node answers to.",
    )
    calling_aets: tuple[AeTitle, ...] = Field(
        default=(), description="AE titles of the senders this rule is for; empty: any sender."
    )
    modality: Modality = Field(
        default=Modality.CT,
        description="Kind of series: CT, MR, or CBCT for CT images that say they are cone-beam CT; see docs/mr.md.",
    )
    body_part: Regex | None = Field(
        default=None,
        description="Regular expression (case ignored) found in Body Part Examined (0018,0015); absent: any.",
    )
    series_description: Regex | None = Field(
        default=None,
        description="Regular expression (case ignored) found in Series Description (0008,103E); absent: any.",
    )
    doubtful_values: Doubted = Field(
        default=Doubted.REFUSE,
        description="What happens to a series whose values do not look like Hounsfield units of one scan; see docs/checks.md.",
    )
    purpose: JobPurpose = Field(
        default=JobPurpose.CLINICAL,
        description="Clinical results are delivered; those of a shadow job, run alongside the series' own job, or of an evaluation are only kept.",
    )
    model: Name = Field(description="Folder name of the model in the model repository.")
    model_version: Annotated[int, Field(ge=1, le=999999)] | None = Field(
        default=None, description="Version of the model; absent: its default version."
    )
    template: Path | None = Field(
        default=None,
        description="Structure template (docs/templates.md); absent: every structure of the model as the catalogue has it.",
    )
    destinations: tuple[Name, ...] = Field(
        default=(),
        description="Names of the peers that get the structure set; empty: results are kept but not delivered.",
    )
    return_to_sender: bool = Field(
        default=False,
        description="Send the structure set to the sender too; its address is found in `peers`, by its AE title.",
    )
    companions: tuple[CompanionObject, ...] = Field(
        default=(),
        description="Objects that are sent along with the structure set: a DICOM SEG, a TID 1500 report, a picture.",
    )
    on_failure: OnFailure = Field(
        default=OnFailure.NONE,
        description="What the destinations get when a job fails for good: nothing, an empty structure set, or a page that says why.",
    )
    implausible: Implausible = Field(
        default=Implausible.LEAVE_OUT,
        description="A structure outside the model's limits: left out, the whole job refused, or sent with a flag.",
    )
    other_region: OtherRegion = Field(
        default=OtherRegion.REFUSE,
        description="A CT of another part of the body: refused before inference, or contoured and flagged.",
    )
    priority: Annotated[int, Field(ge=0, le=100)] = Field(
        default=50, description="Jobs with a higher number run first; jobs of equal priority by age."
    )
    quiet_s: Annotated[float, Field(ge=0, le=86400)] | None = Field(
        default=None,
        description="Seconds without a new slice after which a series counts as quiet; absent: assemble.quiet_s.",
    )
    alarm_s: Annotated[float, Field(ge=1, le=604800)] | None = Field(
        default=None,
        description="A structure set that takes longer than this, in seconds from the last slice, raises an alarm.",
    )

    split_series: SplitSeries = Field(
        default=SplitSeries.HOLD,
        description="A series of which other images came to or from another AE title: hold it, merge them, or contour each part and mark it as doubtful.",
    )
    wait_for: tuple[WaitFor, ...] = Field(
        default=(), description="Series of the same study that must be complete before this one is contoured."
    )
    wait_for_timeout_s: Annotated[float, Field(ge=0, le=604800)] = Field(
        default=1800, description="How long after the study's last image a series waits for the others."
    )
    wait_for_then: AfterWaiting = Field(
        default=AfterWaiting.REFUSE, description="What happens to the series after wait_for_timeout_s."
    )

    def matches(self, facts: SeriesFacts) -> bool:
        """Tell whether the series meets every condition of the rule."""
        return next(self.unmet(facts), None) is None

    def unmet(self, facts: SeriesFacts) -> Iterator[str]:
        """Yield each condition that the series does not meet, in words; nothing: the rule matches."""
        if self.called_aet not in (None, facts.called_aet):
            yield f"called as {facts.called_aet}, not {self.called_aet}"
        if self.calling_aets and facts.calling_aet not in self.calling_aets:
            yield f"from {facts.calling_aet or 'nobody'}, not {' or '.join(self.calling_aets)}"
        if self.modality is not facts.modality:
            yield f"{facts.modality.value}, not {self.modality.value}"
        if not _found(self.body_part, facts.body_part):
            yield f"body part {facts.body_part!r} does not match {self.body_part}"
        if not _found(self.series_description, facts.series_description):
            yield f"description {facts.series_description!r} does not match {self.series_description}"

    @property
    def patterns(self) -> tuple[str, ...]:
        """The regular expressions of the rule."""
        return tuple(one for one in (self.body_part, self.series_description) if one is not None)

    def conditions(self) -> tuple[object, ...]:
        """Return the rule's conditions in a form in which those of two rules can be compared."""
        return (
            self.called_aet,
            frozenset(self.calling_aets),
            self.modality,
            self.body_part,
            self.series_description,
        )

    def template_sha256(self) -> str:
        """Return the SHA-256 of the template's file as it is now, in hex; empty if the rule has none."""
        return "" if self.template is None else sha256(self.template.read_bytes()).hexdigest()


def _found(pattern: str | None, text: str) -> bool:
    return pattern is None or re.search(pattern, text, re.IGNORECASE) is not None

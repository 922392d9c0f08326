"""Why a series is contoured or not, in plain words: how complete it is, what is missing, and what to do."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from imaging.modality import Modality
from inference.contract import ModelContract
from service.config import Rule, SeriesFacts
from service.store import OpenJob

if TYPE_CHECKING:
    from service.assemble.inspection import Inspection
    from service.assemble.sender_counts import ImageCount


def cone_beam(sign: str, rule: Rule) -> str:
    """Say why a rule for CT does not contour cone-beam CT."""
    return (
        f"this is cone-beam CT: {sign}; rule {rule.name} is for CT. Its values are not reliable Hounsfield units, and a "
        'model for CT was not trained on them. Send the planning CT, or add a rule with modality = "CBCT" for a model '
        "that was commissioned on such images"
    )


def no_rule(facts: SeriesFacts) -> str:
    """Say which series no rule matches."""
    kind = "a series" if facts.modality is Modality.CT else f"a series of {facts.modality}"
    return (
        f"no rule matches {kind} sent by {facts.calling_aet} to {facts.called_aet} (Body Part Examined "
        f"{facts.body_part!r}); the images are kept; add a rule to the settings and run the job again"
    )


def rule_is_gone(name: str) -> str:
    """Say that the rule of a rerun no longer exists."""
    return (
        f"the rerun was ordered with rule {name}, which is no longer in the settings; run the job again with another rule "
        "or with none"
    )


def model_is_gone(name: str, models: Mapping[str, ModelContract]) -> str:
    """Say that the model of a rerun no longer exists."""
    return (
        f"the rerun was ordered with model {name}, which is not in the model repository; there are: "
        f"{', '.join(sorted(models)) or 'none'}"
    )


def nowhere_to_go(rule: Rule, job: OpenJob) -> str:
    """Say that the sender, to which the structure set is to be returned, has no address."""
    return (
        f"rule {rule.name} returns the structure set to the sender, but no peer with host and port has the AE title "
        f"{job.calling_aet}; add one and retry the job"
    )


def joined(texts: Sequence[str]) -> str:
    """Return the texts that are not empty, one after another."""
    return "; ".join(filter(None, texts))


def short_of(job: OpenJob, received: int, expected: int) -> str:
    """Say how many of the images that the sender counts are here."""
    return f"has {received} of the {expected} images that {job.calling_aet} says the series has"


def how_known(job: OpenJob, finding: "Inspection", count: "ImageCount") -> list[str]:
    """How complete the series is known to be, for its history."""
    if count.images is not None:
        return [f"{job.calling_aet} says the series has {count.images} images"]
    alone = [f"number of images not known ({count.why_not}), judged by the slices alone"]
    doubt = [f"{finding.doubt}: some may be missing"] if finding.doubt else []
    return (alone if count.why_not else []) + doubt

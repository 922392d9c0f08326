"""Why a series is not contoured, in words for its job: what is missing in the settings, and what to do."""

from collections.abc import Mapping

from imaging.modality import Modality
from inference.contract import ModelContract
from service.config import Rule, SeriesFacts
from service.store import OpenJob


def cone_beam(sign: str, rule: Rule) -> str:
    """Say why cone-beam CT is not contoured by a rule for CT."""
    return (
        f"this is cone-beam CT: {sign}; rule {rule.name} is for CT. Its values are no reliable Hounsfield units and a "
        'model for CT was not trained on them. Send the planning CT, or add a rule with modality = "CBCT" for a model '
        "that was commissioned on such images"
    )


def no_rule(facts: SeriesFacts) -> str:
    """Say for what no rule is there."""
    kind = "a series" if facts.modality is Modality.CT else f"a series of {facts.modality}"
    return (
        f"no rule matches {kind} sent by {facts.calling_aet} to {facts.called_aet} (Body Part Examined "
        f"{facts.body_part!r}); the images are kept; add a rule to the settings and run the job again"
    )


def rule_is_gone(name: str) -> str:
    """Say that the rule of a rerun is not there any more."""
    return (
        f"it was ordered by rule {name}, which is not in the settings any more; run the job again, by another rule or "
        "by none"
    )


def model_is_gone(name: str, models: Mapping[str, ModelContract]) -> str:
    """Say that the model of a rerun is not there any more."""
    return (
        f"it was ordered with model {name}, which is not in the model repository; there are: "
        f"{', '.join(sorted(models)) or 'none'}"
    )


def nowhere_to_go(rule: Rule, job: OpenJob) -> str:
    """Say that the sender, who is to get the structure set, has no address."""
    return (
        f"rule {rule.name} returns the structure set to the sender, but no peer with host and port has the AE title "
        f"{job.calling_aet}; add one and retry the job"
    )

"""Whether rules fit the models and templates of this node, which the settings alone cannot tell."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imaging.modality import Modality
from service.config import Rule, Settings, SettingsRefused
from service.config.rules_text import RuleDraft, RuleFault, draft_of, fault_at

if TYPE_CHECKING:
    from inference.contract import ModelContract
    from service.template import Template

Contracts = Mapping[str, "ModelContract"]
"""The models of the node by name; a ModelLibrary also knows their other versions."""


@dataclass(frozen=True, kw_only=True)
class Misfit:
    """Something that a key of a rule asks for and this node does not have."""

    number: int  # of the rule, from 0
    rule: str
    key: str
    message: str


def misfits(rules: Sequence[Rule], contracts: Contracts) -> Iterator[Misfit]:
    """Yield everything that rules ask for and that this node does not have: models, their versions, templates."""
    for number, rule in enumerate(rules):
        for key, message in _lacking(rule, contracts):
            yield Misfit(number=number, rule=rule.name, key=key, message=message)


def require_fit(rules: Sequence[Rule], contracts: Contracts) -> None:
    """Return if rules fit this node.

    Raises:
        SettingsRefused: they do not; the message names each rule and what is missing.
    """
    lines = [f"rule {one.rule}: {one.message}" for one in misfits(rules, contracts)]
    if lines:
        raise SettingsRefused("\n".join(lines))


def faults_of(text: str, settings: Settings, contracts: Contracts) -> RuleDraft:
    """Return the draft of a text, or every fault and where it is, models and templates that are missing included."""
    draft = draft_of(text, settings)
    if draft.settings is None:
        return draft
    found: list[RuleFault] = [
        fault_at(text, one.number, one.key, one.message) for one in misfits(draft.settings.rules, contracts)
    ]
    return RuleDraft(settings=None, faults=tuple(found)) if found else draft


def rule_contract(rule: Rule, contracts: Contracts) -> "ModelContract":
    """Return the contract of the model version that a rule names; SettingsRefused if there is no such version."""
    found = _contract(rule, contracts)
    if found is None:
        raise SettingsRefused(f"rule {rule.name}: {_no_model(rule, contracts)}")
    return found


def load_templates(rules: Sequence[Rule], contracts: Contracts) -> "Mapping[str, Template]":
    """Load the structure template of each rule, by the rule's name; SettingsRefused if one is wrong."""
    from service.template import TemplateRefused, default_template, load_template

    found: dict[str, Template] = {}
    for rule in rules:
        labels = rule_contract(rule, contracts).labels
        try:
            found[rule.name] = (
                default_template() if rule.template is None else load_template(rule.template, labels)
            )
        except TemplateRefused as reason:
            raise SettingsRefused(f"rule {rule.name}: {reason}") from reason
    return found


def _lacking(rule: Rule, contracts: Contracts) -> Iterator[tuple[str, str]]:
    """Yield each key of a rule that asks for something that is missing, and what is wrong with it."""
    contract = _contract(rule, contracts)
    is_missing = rule.template is not None and not rule.template.is_file()
    if is_missing:
        yield "template", f"there is no template {rule.template}"
    if contract is None:
        yield "model" if rule.model not in contracts else "model_version", _no_model(rule, contracts)
        return
    if not _takes(contract, rule.modality):
        taken = ", ".join(dict.fromkeys(accepted.modality for accepted in contract.inputs))
        yield (
            "modality",
            f"modality = {rule.modality.value!r}, but the model {rule.model} takes {taken}; allowed: a model for this "
            "kind of series",
        )
    if rule.template is not None and not is_missing:
        said = _template_fault(rule, contract)
        if said:
            yield "template", said


def _template_fault(rule: Rule, contract: "ModelContract") -> str:
    """Say what is wrong with a rule's template; empty if nothing is."""
    from service.template import NO_EXTERNAL_ON_MR, TemplateRefused, load_template

    if rule.template is None:
        raise AssertionError("a rule without a template has none that could be wrong")
    try:
        template = load_template(rule.template, contract.labels)
    except TemplateRefused as reason:
        return str(reason)
    if rule.modality is Modality.MR and any(entry.external for entry in template.structure):
        return f"{rule.template}: {NO_EXTERNAL_ON_MR}"
    return ""


def _contract(rule: Rule, contracts: Contracts) -> "ModelContract | None":
    from inference.contract import ModelLibrary

    default = contracts.get(rule.model)
    if default is None or rule.model_version is None or rule.model_version == default.version:
        return default
    if isinstance(contracts, ModelLibrary):
        return contracts.version(rule.model, rule.model_version)
    return None


def _no_model(rule: Rule, contracts: Contracts) -> str:
    if rule.model in contracts:
        return f"model {rule.model} has no version {rule.model_version} in the model repository"
    known = ", ".join(sorted(contracts)) or "none"
    return f"no model {rule.model} in the model repository; there are: {known}"


def _takes(contract: "ModelContract", modality: Modality) -> bool:
    """Tell whether a model accepts a kind of series; cone-beam CT may go to a model for CT."""
    return contract.takes(modality) or (modality is Modality.CBCT and contract.takes(Modality.CT))

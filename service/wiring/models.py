"""The models, and the templates that fit them."""

from collections.abc import Mapping

from inference.contract import ModelContract, ModelLibrary
from inference.errors import ContractRefused
from inference.structures import own_structures
from service.config import Settings, SettingsRefused
from service.template import Template, TemplateRefused, default_template, load_template


def model_library(settings: Settings) -> ModelLibrary:
    """The models of the repository; SettingsRefused where it is unreadable or a rule names a model it lacks."""
    try:
        contracts = ModelLibrary(settings.triton.model_repository)
        for contract in contracts.values():
            own_structures(contract)
    except ContractRefused as reason:
        raise SettingsRefused(f"triton.model_repository: {reason}") from reason
    for rule in settings.rules:
        if rule.model not in contracts:
            raise SettingsRefused(
                f"rule {rule.name}: no model {rule.model} in {settings.triton.model_repository}; there are: "
                f"{', '.join(contracts) or 'none'}"
            )
    return contracts


def templates(settings: Settings, contracts: Mapping[str, ModelContract]) -> Mapping[str, Template]:
    """The structure template of each rule by the rule's name; SettingsRefused where one is wrong."""
    found: dict[str, Template] = {}
    for rule in settings.rules:
        labels = contracts[rule.model].labels
        try:
            found[rule.name] = (
                default_template() if rule.template is None else load_template(rule.template, labels)
            )
        except TemplateRefused as reason:
            raise SettingsRefused(f"rule {rule.name}: {reason}") from reason
    return found

"""The models, and the templates that fit them."""

from collections.abc import Mapping

from inference.errors import SpecRefused
from inference.spec import ModelSpec, load_specs
from service.config import Settings, SettingsRefused
from service.template import Template, TemplateRefused, default_template, load_template


def model_specs(settings: Settings) -> Mapping[str, ModelSpec]:
    """The models of the repository; SettingsRefused where it is unreadable or a rule names a model it lacks."""
    try:
        specs = load_specs(settings.triton.model_repository)
    except SpecRefused as reason:
        raise SettingsRefused(f"triton.model_repository: {reason}") from reason
    for rule in settings.rules:
        if rule.model not in specs:
            raise SettingsRefused(
                f"rule {rule.name}: no model {rule.model} in {settings.triton.model_repository}; there are: "
                f"{', '.join(specs) or 'none'}"
            )
    return specs


def templates(settings: Settings, specs: Mapping[str, ModelSpec]) -> Mapping[str, Template]:
    """The structure template of each rule by the rule's name; SettingsRefused where one is wrong."""
    found: dict[str, Template] = {}
    for rule in settings.rules:
        labels = specs[rule.model].labels
        try:
            found[rule.name] = (
                default_template() if rule.template is None else load_template(rule.template, labels)
            )
        except TemplateRefused as reason:
            raise SettingsRefused(f"rule {rule.name}: {reason}") from reason
    return found

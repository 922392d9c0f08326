"""Templates: which structures are sent, with which names, colours, numbers, types and codes; how they are derived."""

from service.template.apply import NO_EXTERNAL_ON_MR
from service.template.load import TemplateRefused, default_template, load_template
from service.template.model import Template

__all__ = [
    "NO_EXTERNAL_ON_MR",
    "Template",
    "TemplateRefused",
    "default_template",
    "load_template",
]

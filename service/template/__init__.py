"""Templates: which structures go out, under which names, colours, numbers, types and codes, and how they are derived."""

from service.template.apply import Applied, OutputStructure, apply
from service.template.load import TemplateRefused, default_template, load_template
from service.template.model import Template

__all__ = [
    "Applied",
    "OutputStructure",
    "Template",
    "TemplateRefused",
    "apply",
    "default_template",
    "load_template",
]

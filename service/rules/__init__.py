"""The rules that hold: which version, whether it fits this node, and what a job that is queued goes by."""

from service.rules.book import HeldRules, RuleBook, opening_sop_classes
from service.rules.fitness import faults_of, load_templates, misfits, require_fit, rule_contract

__all__ = [
    "HeldRules",
    "RuleBook",
    "faults_of",
    "load_templates",
    "misfits",
    "opening_sop_classes",
    "require_fit",
    "rule_contract",
]

"""The rules in force: which version is active, whether it fits this node, and which version a queued job follows."""

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

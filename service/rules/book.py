"""The rule book: each role asks it which rules are active, and follows a new version without a restart."""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from imaging.modality import Modality
from service.config import Rule, Settings, SettingsRefused
from service.config.rules_text import draft_of, rules_text
from service.errors import Refused, TryAgain
from service.rules.fitness import Contracts, load_templates, misfits
from service.store import Database
from service.store.node.rule_sets import RuleVersions
from service.store.records import CONTOURED_SOP_CLASSES, CT_SOP_CLASSES

if TYPE_CHECKING:
    from service.template import Template


@dataclass(frozen=True, kw_only=True)
class HeldRules:
    """One version of the rules as this node can apply it.

    `settings` are the node's with these rules. If there are faults, they have only the rules that could be read: the
    node still answers to their AE titles, but contours by none of them.
    """

    number: int  # of the version; 0: those of the settings file or the environment
    settings: Settings
    faults: tuple[str, ...] = ()  # why nothing can be contoured by this version
    templates: "Mapping[str, Template]" = field(default_factory=dict)

    @property
    def recorded_as(self) -> int | None:
        """The version's number as jobs record it."""
        return self.number or None

    @property
    def why_not(self) -> str:
        """Say why these rules cannot be applied to any series; empty if they can."""
        if not self.faults:
            return ""
        which = f"version {self.number} of the rules does" if self.number else "the rules of the settings do"
        return f"{which} not fit this node: {'; '.join(self.faults)}"


class RuleBook:
    """The versions of the rules, each read once per process; thread-safe.

    Args:
        settings: of the file and the environment. Their rules are in force until a version is activated, and always
            if the environment sets them.
        database: the node's.
        contracts: returns the models that rules are checked against; None: they are not checked, for roles that
            contour nothing.
        loads_templates: whether this process contours by the rules and so needs their templates.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        contracts: Callable[[], Contracts] | None = None,
        *,
        loads_templates: bool = False,
    ) -> None:
        self._settings = settings
        self._versions = RuleVersions(database)
        self._contracts = contracts
        self._loads_templates = loads_templates
        self._known: dict[int, HeldRules] = {}

    def current(self) -> HeldRules:
        """Return the active rules.

        Raises:
            TryAgain: the database does not answer; the rules that were returned last stay in force.
        """
        return self.of(self._current_number())

    def of(self, number: int | None) -> HeldRules:
        """Return the version that a job recorded; None: the rules that were in force before there were versions.

        Raises:
            NoSuchRuleSet: the database has no such version.
            TryAgain: the database does not answer.
        """
        if not number and self._current_number():
            before = self._versions.before_versions()
            number = before.number if before is not None else None
        known = self._known.get(number or 0)
        if known is None or known.faults:  # what was missing may be there by now
            known = self._known[number or 0] = self._read(number or 0)
        return known

    def for_job(self, number: int | None) -> HeldRules:
        """Return the version that a queued job is contoured by.

        Raises:
            TryAgain: it is active but does not fit this node at present, or the database does not answer.
            Refused: it is no longer active, and does not fit this node.
        """
        found = self.of(number)
        if found.faults and found.number == self._current_number():
            raise TryAgain(found.why_not)
        if found.faults:
            raise Refused(f"{found.why_not}; run the job again, by the active rules")
        return found

    def file_differs(self) -> str:
        """Say that the settings file's rules were changed but are not active; empty if that is not so."""
        number = self._versions.active_number()
        if not number:
            return ""
        if self._settings.locked_rules:
            return f"{self._settings.locked_rules}: version {number} is not active"
        taken = self._versions.newest_from_file()
        if taken is not None and taken.text == rules_text(self._settings.rules):
            return ""
        return (
            f"the rules of the settings file were changed and are not active: version {number} is; `contour-node rules "
            "adopt` activates them, or restore the old text"
        )

    def _current_number(self) -> int:
        return 0 if self._settings.locked_rules else self._versions.active_number()

    def _read(self, number: int) -> HeldRules:
        if number == 0:
            return self._fitted(0, self._settings)
        text = self._versions.version(number).text
        draft = draft_of(text, self._settings)
        if draft.settings is None:
            faults = tuple(f"line {one.line}: {one.message}" for one in draft.faults)
            return HeldRules(number=number, settings=_readable(text, self._settings), faults=faults)
        return self._fitted(number, draft.settings)

    def _fitted(self, number: int, settings: Settings) -> HeldRules:
        """Check rules against the models and templates of this node."""
        if self._contracts is None:
            return HeldRules(number=number, settings=settings)
        try:
            contracts = self._contracts()
            faults = tuple(f"rule {one.rule}: {one.message}" for one in misfits(settings.rules, contracts))
            if faults or not self._loads_templates:
                return HeldRules(number=number, settings=settings, faults=faults)
            return HeldRules(
                number=number, settings=settings, templates=load_templates(settings.rules, contracts)
            )
        except SettingsRefused as reason:
            return HeldRules(number=number, settings=settings, faults=(str(reason),))


def opening_sop_classes(settings: Settings) -> frozenset[str]:
    """Return the SOP classes of images that open a job: CT, and MR if a rule accepts it."""
    wants_mr = any(rule.modality is Modality.MR for rule in settings.rules)
    return CONTOURED_SOP_CLASSES if wants_mr else CT_SOP_CLASSES


def _readable(text: str, settings: Settings) -> Settings:
    """Return the settings with those rules of a faulty text that are valid by themselves."""
    try:
        entries: Any = tomllib.loads(text).get("rules", [])
    except (ValueError, RecursionError):
        return settings.with_rules(())
    found = []
    for entry in entries if isinstance(entries, list) else ():
        try:
            found.append(Rule.model_validate(entry))
        except ValidationError:
            continue
    return settings.with_rules(found)

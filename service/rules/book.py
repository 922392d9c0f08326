"""The rule book: each role asks it which rules hold, and follows another version without a restart."""

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
    """One version of the rules as this node can go by it.

    `settings` are the node's with these rules. Where there are faults, those rules that could be read stand there: the
    node still answers to their AE titles, and contours by none of them.
    """

    number: int  # of the version; 0: those of the settings file or the environment
    settings: Settings
    faults: tuple[str, ...] = ()  # why nothing can be contoured by it
    templates: "Mapping[str, Template]" = field(default_factory=dict)

    @property
    def recorded_as(self) -> int | None:
        """The version's number as jobs record it."""
        return self.number or None

    @property
    def why_not(self) -> str:
        """Why no series may be judged by these rules; empty: they may."""
        if not self.faults:
            return ""
        which = f"version {self.number} of the rules does" if self.number else "the rules of the settings do"
        return f"{which} not fit this node: {'; '.join(self.faults)}"


class RuleBook:
    """The versions of the rules, each read once a process; for any thread.

    Args:
        settings: of the file and the environment. Their rules hold until a version is activated, and where the
            environment sets them.
        database: the node's.
        contracts: gives the models that rules are compared with; None: they are not, as where nothing is contoured.
        loads_templates: whether jobs are contoured by these rules here.
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
        """Give the rules that hold now.

        Raises:
            TryAgain: the database does not answer; those that were given last hold on.
        """
        return self.of(self._current_number())

    def of(self, number: int | None) -> HeldRules:
        """Give one version as a job recorded it; None: what held before there were versions.

        Raises:
            NoSuchRuleSet: the database has no such version.
            TryAgain: the database does not answer.
        """
        if not number and self._current_number():
            before = self._versions.before_versions()
            number = before.number if before is not None else None
        known = self._known.get(number or 0)
        if known is None or known.faults:  # what was lacking may be there by now
            known = self._known[number or 0] = self._read(number or 0)
        return known

    def for_job(self, number: int | None) -> HeldRules:
        """Give the version that a queued job is contoured by.

        Raises:
            TryAgain: it holds and does not fit this node at the moment, or the database does not answer.
            Refused: it does not hold any more, and does not fit this node.
        """
        found = self.of(number)
        if found.faults and found.number == self._current_number():
            raise TryAgain(found.why_not)
        if found.faults:
            raise Refused(f"{found.why_not}; run the job again, by the active rules")
        return found

    def file_differs(self) -> str:
        """Say how the settings file's rules differ from what holds, where somebody may think they hold; else empty."""
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
        """Compare rules with the models and templates of this node."""
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
    """Return the SOP classes of images that open a job: CT, and MR where a rule is for it."""
    wants_mr = any(rule.modality is Modality.MR for rule in settings.rules)
    return CONTOURED_SOP_CLASSES if wants_mr else CT_SOP_CLASSES


def _readable(text: str, settings: Settings) -> Settings:
    """Return the settings with those rules of a faulty text that can be read by themselves."""
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

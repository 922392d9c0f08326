"""The use cases of the rules: list versions, write or discard a draft, activate a version, roll back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service.application.actors import Actor, ActorKind, Operation
from service.application.audited import perform
from service.config import Settings
from service.config.rules_text import LONGEST_TEXT, RuleFault, rules_text
from service.errors import Refused
from service.store import Database, NotAllowed, Transaction
from service.store.node.rule_sets import (
    Activation,
    NewRuleSet,
    RuleSet,
    activate_rule_draft,
    activate_rule_set,
    add_rule_draft,
    discard_rule_draft,
    find_rule_set,
    list_rule_sets,
)
from service.store.states import RuleSetState
from service.text import shown

LONGEST_REASON = 500
_UNKEPT = frozenset("\x00") | {chr(code) for code in range(0xD800, 0xE000)}  # no database holds them as text
FindFaults = Callable[[str], Sequence[RuleFault]]
"""Returns what is wrong with a text of rules on this node; if nothing is, it can be activated."""


class FaultyRules(Refused):
    """The text of rules cannot be activated; `faults` says where and why."""

    def __init__(self, faults: Sequence[RuleFault]) -> None:
        lines = [f"line {one.line}, column {one.column}: {one.message}" for one in faults]
        super().__init__("these rules cannot be activated: " + "; ".join(lines))
        self.faults = tuple(faults)


@dataclass(frozen=True, kw_only=True)
class RuleOffice:
    """Changes which rules of a node are active: each change is one transaction with its audit entry.

    `settings` are those of the file and the environment; `find_faults` checks a text before it can be activated.
    """

    database: Database
    settings: Settings
    find_faults: FindFaults

    def versions(self, actor: Actor, *, before: int | None = None, limit: int = 50) -> Sequence[RuleSet]:
        """Return versions and drafts, newest first; `before`: only lower numbers."""
        return perform(
            self.database,
            actor,
            Operation.RULES,
            None,
            lambda transaction: list_rule_sets(transaction, before=before, limit=limit),
            detail="history",
        )

    def version(self, actor: Actor, number: int) -> RuleSet:
        """Return one version or draft; raises NoSuchRuleSet."""
        return perform(
            self.database,
            actor,
            Operation.RULES,
            None,
            lambda transaction: find_rule_set(transaction, number),
            detail=f"version {number}",
        )

    def write_draft(self, actor: Actor, text: str, reason: str = "") -> RuleSet:
        """Keep a text as a draft, with its faults if it has any; no job uses it."""

        def act(transaction: Transaction) -> RuleSet:
            if len(text) > LONGEST_TEXT or not _UNKEPT.isdisjoint(text):
                raise Refused(f"a draft is text of at most {LONGEST_TEXT} characters, without NUL")
            new = NewRuleSet(text=text, author=actor.name, reason=_said(reason, is_needed=False))
            return add_rule_draft(self.database, transaction, new, file=self._file)

        return perform(self.database, actor, Operation.RULES_DRAFT, None, act, detail=_shortened(reason))

    def discard(self, actor: Actor, number: int) -> None:
        """Discard a draft; raises NotAllowed if it is not one."""
        perform(
            self.database,
            actor,
            Operation.RULES_DISCARD,
            None,
            lambda transaction: discard_rule_draft(transaction, number),
            detail=f"version {number}",
        )

    def activate(self, actor: Actor, text: str, reason: str, *, seen: int) -> RuleSet:
        """Activate a text from the next job on.

        Args:
            actor: becomes its author.
            text: TOML with `[[rules]]` and nothing else.
            reason: why, in a sentence.
            seen: number of the version that was active when the text was written; 0: the settings file's rules.

        Raises:
            FaultyRules: the text cannot be activated; nothing is changed.
            RulesChanged: another version has become active since.
            Refused: the reason is missing, the rules are locked, or a second person has to activate them.
        """

        def act(transaction: Transaction) -> RuleSet:
            if self.settings.web.rules_need_two:
                raise Refused(
                    "rules need two people here (web.rules_need_two): save a draft for another person to activate"
                )
            return activate_rule_set(self.database, transaction, text, self._act(actor, reason, seen))

        return self._hold(actor, Operation.RULES_ACTIVATE, text, act, f"after version {seen}: {reason}")

    def activate_draft(self, actor: Actor, number: int, reason: str, *, seen: int) -> RuleSet:
        """Activate a draft from the next job on; arguments and errors as in activate().

        Raises:
            Refused: also if rules need two people and the draft's author, or a program, tries to activate it.
        """
        draft = self._find(number)

        def act(transaction: Transaction) -> RuleSet:
            if self.settings.web.rules_need_two and (
                draft.author == actor.name or actor.kind is not ActorKind.PERSON
            ):
                raise Refused(
                    f"rules need two people here (web.rules_need_two): {draft.author} wrote draft {number}, so "
                    "another person must activate it"
                )
            return activate_rule_draft(self.database, transaction, number, self._act(actor, reason, seen))

        what = f"draft {number} after version {seen}: {reason}"
        return self._hold(actor, Operation.RULES_ACTIVATE, draft.text, act, what)

    def roll_back(self, actor: Actor, number: int, reason: str, *, seen: int) -> RuleSet:
        """Activate the text of an earlier version again, as a new version; one person suffices: it was active before.

        Arguments and errors as in activate().
        """
        earlier = self._find(number)

        def restore(transaction: Transaction) -> RuleSet:
            if earlier.state is not RuleSetState.REPLACED:
                raise NotAllowed(
                    f"version {number} of the rules is {earlier.state}: it has never been active"
                )
            act = self._act(actor, reason, seen)
            return activate_rule_set(self.database, transaction, earlier.text, act, restores=number)

        what = f"to version {number}, after version {seen}: {reason}"
        return self._hold(actor, Operation.RULES_ROLLBACK, earlier.text, restore, what)

    def adopt_file(self, actor: Actor, reason: str, *, seen: int) -> RuleSet:
        """Activate the settings file's rules, as they are now, as a new version; arguments as in activate()."""

        def adopt(transaction: Transaction) -> RuleSet:
            act = self._act(actor, reason, seen)
            return activate_rule_set(self.database, transaction, self._file, act, is_from_file=True)

        what = f"the settings file's, after version {seen}: {reason}"
        return self._hold(actor, Operation.RULES_ACTIVATE, self._file, adopt, what)

    @property
    def _file(self) -> str:
        return rules_text(self.settings.rules)

    def _act(self, actor: Actor, reason: str, seen: int) -> Activation:
        return Activation(by=actor.name, reason=_said(reason), seen=seen, file=self._file)

    def _find(self, number: int) -> RuleSet:
        with self.database.reading() as connection:
            return find_rule_set(connection, number)

    def _hold(
        self,
        actor: Actor,
        operation: Operation,
        text: str,
        act: Callable[[Transaction], RuleSet],
        detail: str,
    ) -> RuleSet:
        """Check the text before the transaction: that takes longer than a transaction may, and a text never changes."""
        faults = self.find_faults(text)

        def checked(transaction: Transaction) -> RuleSet:
            if self.settings.locked_rules:
                raise Refused(f"the rules are locked: {self.settings.locked_rules}")
            if faults:
                raise FaultyRules(faults)
            return act(transaction)

        return perform(self.database, actor, operation, None, checked, detail=_shortened(detail))


def _shortened(detail: str) -> str:
    """Return as much of a text, which may yet be refused, as the audit trail holds."""
    return shown(detail)[: 2 * LONGEST_REASON]


def _said(reason: str, *, is_needed: bool = True) -> str:
    said = " ".join(reason.split())
    if is_needed and not said:
        raise Refused("give a reason, in one sentence: it is kept in the history and the audit trail")
    if len(said) > LONGEST_REASON or not said.isprintable():
        raise Refused(f"a reason is printable text of at most {LONGEST_REASON} characters")
    return said

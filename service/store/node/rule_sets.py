"""Versions of the rules: drafts, the active one and earlier ones; one transaction changes which is active."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from service.store.database import Database
from service.store.errors import NoSuchRuleSet, NotAllowed, RulesChanged
from service.store.states import RuleSetState
from service.store.tables.node_schema import rule_set


@dataclass(frozen=True, kw_only=True)
class RuleSet:
    """One version of the rules, or a draft of one. Its text is TOML with `[[rules]]` and nothing else."""

    number: int
    state: RuleSetState
    text: str
    author: str
    reason: str
    is_from_file: bool
    based_on: int | None
    restores: int | None
    made_at: datetime
    activated_by: str
    activated_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class NewRuleSet:
    """A version that is to be recorded."""

    text: str
    author: str
    reason: str
    is_from_file: bool = False
    restores: int | None = None


@dataclass(frozen=True, kw_only=True)
class Activation:
    """An order to activate a version: by whom and why, and which version they believe to be active.

    `seen` is the number of the version that was active when the text was written; 0: the settings file's rules. `file`
    is the text of those; it becomes the first version if there is none.
    """

    by: str
    reason: str
    seen: int
    file: str


def active_rule_set(connection: Connection) -> RuleSet | None:
    """Return the active version; None if none was ever activated: the settings file's rules are in force."""
    row = connection.execute(select(rule_set).where(rule_set.c.state == RuleSetState.ACTIVE)).one_or_none()
    return None if row is None else _rule_set(row)


def find_rule_set(connection: Connection, number: int) -> RuleSet:
    """Return one version or draft.

    Raises:
        NoSuchRuleSet: there is none with this number.
    """
    row = connection.execute(select(rule_set).where(rule_set.c.number == number)).one_or_none()
    if row is None:
        raise NoSuchRuleSet(f"there is no version {number} of the rules")
    return _rule_set(row)


def rules_before_versions(connection: Connection) -> RuleSet | None:
    """Return the settings file's rules as they were when the first version took their place; None if none did."""
    query = select(rule_set).where(rule_set.c.author == "").order_by(rule_set.c.number.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else _rule_set(row)


def newest_from_file(connection: Connection) -> RuleSet | None:
    """Return the last version that was taken from the settings file; None if there is none."""
    query = select(rule_set).where(rule_set.c.is_from_file).order_by(rule_set.c.number.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else _rule_set(row)


def list_rule_sets(connection: Connection, *, before: int | None = None, limit: int = 50) -> list[RuleSet]:
    """Return versions and drafts, newest first; `before`: only lower numbers."""
    query = select(rule_set).order_by(rule_set.c.number.desc()).limit(limit)
    if before is not None:
        query = query.where(rule_set.c.number < before)
    return [_rule_set(row) for row in connection.execute(query)]


def add_rule_draft(database: Database, connection: Connection, new: NewRuleSet, *, file: str) -> RuleSet:
    """Record a draft, which no job uses; `file`: the settings file's rules."""
    _record_file(database, connection, file)
    holds = active_rule_set(connection)
    based_on = None if holds is None else holds.number
    return _add(database, connection, new, state=RuleSetState.DRAFT, based_on=based_on)


def discard_rule_draft(connection: Connection, number: int) -> None:
    """Discard a draft; it can still be read.

    Raises:
        NoSuchRuleSet: there is none with this number.
        NotAllowed: it is not a draft.
    """
    _take_draft(connection, number, state=RuleSetState.DISCARDED)


def activate_rule_set(
    database: Database,
    connection: Connection,
    text: str,
    act: Activation,
    *,
    is_from_file: bool = False,
    restores: int | None = None,
) -> RuleSet:
    """Activate a text in place of the active version.

    Raises:
        RulesChanged: another version has become active since.
    """
    new = NewRuleSet(
        text=text, author=act.by, reason=act.reason, is_from_file=is_from_file, restores=restores
    )
    try:
        with connection.begin_nested():
            _replace(database, connection, act)
            return _add(
                database,
                connection,
                new,
                state=RuleSetState.ACTIVE,
                based_on=act.seen or None,
                activated_by=act.by,
                activated_at=database.clock(),
            )
    except (
        IntegrityError
    ) as error:  # of the index rule_set_active: two processes made the first version at once
        raise _changed(connection) from error


def activate_rule_draft(database: Database, connection: Connection, number: int, act: Activation) -> RuleSet:
    """Activate a draft, which keeps its number.

    Raises:
        NoSuchRuleSet, NotAllowed: there is no such draft.
        RulesChanged: another version has become active since.
    """
    try:
        with connection.begin_nested():
            _replace(database, connection, act)
            _take_draft(
                connection,
                number,
                state=RuleSetState.ACTIVE,
                reason=act.reason,
                activated_by=act.by,
                activated_at=database.clock(),
            )
    except IntegrityError as error:
        raise _changed(connection) from error
    return find_rule_set(connection, number)


class RuleVersions:
    """The versions as the roles read them: which is active, and the text of each."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def active_number(self) -> int:
        """Return the number of the active version; 0: the settings file's rules are in force."""
        query = select(rule_set.c.number).where(rule_set.c.state == RuleSetState.ACTIVE)
        with self._database.reading() as connection:
            return connection.execute(query).scalar_one_or_none() or 0

    def version(self, number: int) -> RuleSet:
        """Return one version; raises NoSuchRuleSet."""
        with self._database.reading() as connection:
            return find_rule_set(connection, number)

    def before_versions(self) -> RuleSet | None:
        """Return the settings file's rules as they were before the first version; None if there is none."""
        with self._database.reading() as connection:
            return rules_before_versions(connection)

    def newest_from_file(self) -> RuleSet | None:
        """Return the last version that was taken from the settings file; None if there is none."""
        with self._database.reading() as connection:
            return newest_from_file(connection)

    def drafts(self) -> Sequence[RuleSet]:
        """Return the drafts, newest first."""
        query = select(rule_set).where(rule_set.c.state == RuleSetState.DRAFT)
        with self._database.reading() as connection:
            return [_rule_set(row) for row in connection.execute(query.order_by(rule_set.c.number.desc()))]


def _replace(database: Database, connection: Connection, act: Activation) -> None:
    """End the version that was seen as active; if none was, record the settings file's rules."""
    if not act.seen and active_rule_set(connection) is None:
        _record_file(database, connection, act.file)
        return
    ended = connection.execute(
        update(rule_set)
        .where(rule_set.c.number == act.seen, rule_set.c.state == RuleSetState.ACTIVE)
        .values(state=RuleSetState.REPLACED)
    )
    if ended.rowcount == 0:
        raise _changed(connection)


def _record_file(database: Database, connection: Connection, text: str) -> None:
    """Record the settings file's rules as a version while they are in force; no author: the node recorded it."""
    written = rules_before_versions(connection)
    if active_rule_set(connection) is None and (written is None or written.text != text):
        new = NewRuleSet(text=text, author="", reason="as in the settings file", is_from_file=True)
        _add(database, connection, new, state=RuleSetState.REPLACED)


def _add(database: Database, connection: Connection, new: NewRuleSet, **values: Any) -> RuleSet:
    found = {**vars(new), "made_at": database.clock(), **values}
    return _rule_set(connection.execute(insert(rule_set).values(found).returning(rule_set)).one())


def _take_draft(connection: Connection, number: int, **values: Any) -> None:
    changed = connection.execute(
        update(rule_set)
        .where(rule_set.c.number == number, rule_set.c.state == RuleSetState.DRAFT)
        .values(values)
    )
    if changed.rowcount == 0:
        state = find_rule_set(connection, number).state
        raise NotAllowed(f"version {number} of the rules is {state}, not a draft")


def _changed(connection: Connection) -> RulesChanged:
    holds = active_rule_set(connection)
    now = "the settings file's are" if holds is None else f"version {holds.number} by {holds.activated_by} is"
    return RulesChanged(
        f"the rules have changed since you looked at them: {now} active now. Look at what changed, then decide."
    )


def _rule_set(row: Row[Any]) -> RuleSet:
    return RuleSet(**row._mapping)

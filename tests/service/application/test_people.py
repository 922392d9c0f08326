"""People of the page: links, roles, locks, and the last admin."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from service.application import (
    LINK_LASTS,
    Actor,
    ActorKind,
    ActorRole,
    NotPermitted,
    change_person,
    invite_person,
    list_people,
    secret_sha256,
    set_password,
    unlock_person,
)
from service.errors import Refused
from service.store import Accounts, AuditKind, AuditLog, Database, NotAllowed, Sessions
from tests.support.clock import ManualClock

ADMIN = Actor(kind=ActorKind.PERSON, name="root", role=ActorRole.ADMIN, entry="web", address="10.0.0.9")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def database(database_url: str, clock: ManualClock) -> Iterator[Database]:
    database = Database(database_url, clock=clock, monotonic=clock.monotonic)
    yield database
    database.close()


def test_a_link_makes_one_password_once_and_ends_with_its_time(
    database: Database, clock: ManualClock
) -> None:
    assert not Accounts(database).has_admin()
    secret = invite_person(database, ADMIN, "anna", ActorRole.ADMIN, sees_patients=True)
    assert not Accounts(database).has_admin()  # nobody can sign in yet
    assert set_password(database, secret, "hash").name == "anna"
    assert Accounts(database).has_admin()
    with pytest.raises(NotAllowed, match="this link was used"):
        set_password(database, secret, "other")

    first = invite_person(database, ADMIN, "ben", ActorRole.VIEWER, sees_patients=False)
    second = invite_person(database, ADMIN, "ben", ActorRole.VIEWER, sees_patients=False)
    with pytest.raises(NotAllowed):
        set_password(database, first, "hash")  # a new link ends the earlier one
    clock.tick(LINK_LASTS.total_seconds())
    with pytest.raises(NotAllowed):
        set_password(database, second, "hash")
    with pytest.raises(NotAllowed):
        set_password(database, "never made", "hash")


@pytest.mark.parametrize("name", ["", " anna", "anna\n", "x" * 65, "<b>", "../a"])
def test_a_name_that_could_not_stand_in_a_trail_is_refused(database: Database, name: str) -> None:
    with pytest.raises(Refused, match="a user's name has"):
        invite_person(database, ADMIN, name, ActorRole.VIEWER, sees_patients=False)
    assert Accounts(database).all() == []


def test_wrong_passwords_wait_longer_each_time_and_an_admin_ends_the_wait(
    database: Database, clock: ManualClock
) -> None:
    set_password(database, invite_person(database, ADMIN, "a", ActorRole.VIEWER, sees_patients=False), "hash")
    accounts = Accounts(database)
    waits = []
    for _ in range(14):
        user = accounts.find("a")
        assert user is not None
        until = accounts.failed(user)
        waits.append(0 if until is None else (until - clock()).total_seconds())
    assert waits == [0, 0, 0, 0, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    unlock_person(database, ADMIN, "a")
    user = accounts.find("a")
    assert user is not None
    assert (user.failed_sign_ins, user.locked_until) == (0, None)


def test_a_change_of_role_ends_sessions_and_the_last_admin_stays(database: Database) -> None:
    for name in ("anna", "ben"):
        secret = invite_person(database, ADMIN, name, ActorRole.ADMIN, sees_patients=True)
        set_password(database, secret, "hash")
    sessions = Sessions(database)
    ben = Accounts(database).find("ben")
    assert ben is not None
    sessions.open(ben, secret_sha256("s"), "10.1.1.1")
    assert [(one.user.name, one.sessions) for one in list_people(database, ADMIN)] == [
        ("anna", 0),
        ("ben", 1),
    ]

    change_person(database, ADMIN, "ben", role=ActorRole.VIEWER)

    assert sessions.find(secret_sha256("s")) is None
    with pytest.raises(NotAllowed, match="anna is the last admin"):
        change_person(database, ADMIN, "anna", role=ActorRole.PHYSICIST)
    with pytest.raises(NotAllowed, match="anna is the last admin"):
        change_person(database, ADMIN, "anna", ends=True)
    with pytest.raises(NotAllowed, match="there is no user nobody"):
        change_person(database, ADMIN, "nobody", ends=True)
    anna = Accounts(database).find("anna")
    assert anna is not None
    assert (anna.role, anna.ended_at) == ("admin", None)


def test_only_admins_change_people_and_each_order_is_in_the_trail(database: Database) -> None:
    for role in (ActorRole.VIEWER, ActorRole.OPERATOR, ActorRole.PHYSICIST):
        with pytest.raises(NotPermitted):
            invite_person(database, replace(ADMIN, role=role), "x", ActorRole.ADMIN, sees_patients=True)
    invite_person(database, ADMIN, "x", ActorRole.VIEWER, sees_patients=False)
    entries = [entry.event for entry in AuditLog(database).entries()]
    assert [(one.kind, one.target, one.outcome.value) for one in entries] == [
        *[(AuditKind.ORDERED, "invite", "4")] * 3,
        (AuditKind.ORDERED, "invite", "0"),
    ]
    assert entries[-1].detail == "x as viewer"
    assert entries[-1].address == "10.0.0.9"


def test_a_session_ends_when_idle_and_after_its_longest_time(database: Database, clock: ManualClock) -> None:
    secret = invite_person(database, ADMIN, "anna", ActorRole.ADMIN, sees_patients=True)
    anna = set_password(database, secret, "hash")
    sessions = Sessions(database)
    sessions.open(anna, secret_sha256("one"), "10.1.1.1")
    sessions.open(anna, secret_sha256("two"), "10.1.1.1", replaces=secret_sha256("one"))
    assert sessions.find(secret_sha256("one")) is None  # the id is renewed at each sign-in
    clock.tick(29 * 60)
    assert sessions.find(secret_sha256("two"), is_used=False) is not None
    clock.tick(2 * 60)
    assert sessions.find(secret_sha256("two")) is None  # a page that refreshes itself holds no session open
    sessions.open(anna, secret_sha256("three"), "10.1.1.1")
    for _ in range(12 * 3):
        assert sessions.find(secret_sha256("three")) is not None
        clock.tick(20 * 60)
    assert sessions.find(secret_sha256("three")) is None

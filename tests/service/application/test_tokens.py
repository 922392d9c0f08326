"""Tokens of programs: what is no token is refused with the limits, and one that has ended opens nothing."""

from datetime import timedelta

import pytest

from service.application import ActorRole, NotPermitted, Operation, TokenScope, create_token, revoke_token
from service.application.tokens import LONGEST_DAYS, actor_of, list_tokens
from service.errors import Refused
from service.store import NotAllowed
from tests.support.actors import ADMINISTRATOR, OPERATOR
from tests.support.small_node import SmallNode

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
READ = [TokenScope.READ]


@pytest.mark.parametrize(
    ("name", "scopes", "days", "words"),
    [
        ("", READ, 1, "a token's name has 1 to 64 characters"),
        ("a" * 65, READ, 1, "a token's name has 1 to 64 characters"),
        (".hidden", READ, 1, "a token's name has 1 to 64 characters"),
        ("a b", READ, 1, "a token's name has 1 to 64 characters"),
        ("a", [], 1, "a token needs a scope; there are: "),
        ("a", READ, 0, "a token is valid for 1 to 730 days, not 0"),
        ("a", READ, 731, "a token is valid for 1 to 730 days, not 731"),
        ("a" * 17, [TokenScope.DICOMWEB_STORE], 1, "at most 16 characters, not 17"),
    ],
)
def test_no_token(small_node: SmallNode, name: str, scopes: list[TokenScope], days: int, words: str) -> None:
    with pytest.raises(Refused, match=words):
        create_token(small_node.database, ADMINISTRATOR, name, scopes, days=days)
    assert list_tokens(small_node.database, ADMINISTRATOR) == []


@pytest.mark.parametrize(
    ("name", "scopes", "days"),
    [("a" * 64, READ, 1), ("a", READ, LONGEST_DAYS), ("a" * 16, [TokenScope.DICOMWEB_STORE], 1)],
)
def test_a_token_at_the_limits_is_made(
    small_node: SmallNode, name: str, scopes: list[TokenScope], days: int
) -> None:
    made = create_token(small_node.database, ADMINISTRATOR, name, scopes, days=days)
    assert made.token.ends_at == small_node.clock.now + timedelta(days=days)
    assert list_tokens(small_node.database, ADMINISTRATOR) == [made.token]


def test_a_token_opens_what_its_scope_says_until_its_last_second(small_node: SmallNode) -> None:
    def holder(secret: str) -> ActorRole | None:
        actor = actor_of(small_node.database, secret, entry="api", address="10.0.0.9")
        return None if actor is None else actor.role

    secret = create_token(small_node.database, ADMINISTRATOR, "script", READ, days=1).secret
    assert holder(secret) is ActorRole.VIEWER
    assert holder(secret.upper()) is holder(f"x{secret}") is holder(secret[3:]) is None
    small_node.clock.tick(86399)
    assert holder(secret) is ActorRole.VIEWER
    small_node.clock.tick(1)
    assert holder(secret) is None
    again = create_token(small_node.database, ADMINISTRATOR, "script", [TokenScope.OPERATE], days=1).secret
    assert holder(again) is ActorRole.OPERATOR
    revoke_token(small_node.database, ADMINISTRATOR, "script")
    assert holder(again) is None
    with pytest.raises(NotAllowed):
        revoke_token(small_node.database, ADMINISTRATOR, "script")


@pytest.mark.parametrize("scope", list(TokenScope))
def test_each_scope_permits_its_own_and_sees_patients_only_where_it_says_so(
    small_node: SmallNode, scope: TokenScope
) -> None:
    secret = create_token(small_node.database, ADMINISTRATOR, "script", [scope], days=1).secret
    actor = actor_of(small_node.database, secret, entry="api", address="10.0.0.9")
    assert actor is not None
    assert bool(actor.operations) is (scope is not TokenScope.READ_PATIENTS), "that one adds to another"
    assert actor.sees_patients is (scope in {TokenScope.READ_PATIENTS, TokenScope.DICOMWEB_READ})
    assert (Operation.CANCEL in actor.operations) is (scope is TokenScope.OPERATE)
    assert (Operation.TOKENS in actor.operations) is False


def test_only_an_admin_makes_sees_or_revokes_tokens(small_node: SmallNode) -> None:
    for act in (
        lambda: create_token(small_node.database, OPERATOR, "script", READ, days=1),
        lambda: list_tokens(small_node.database, OPERATOR),
        lambda: revoke_token(small_node.database, OPERATOR, "script"),
    ):
        with pytest.raises(NotPermitted):
            act()

"""The verb `web-admin`: users with their one-time links, and tokens of programs."""

import argparse

from service.application import (
    LINK_LASTS,
    ActorRole,
    TokenScope,
    create_token,
    invite_person,
    list_tokens,
    revoke_token,
)
from service.cli.audit import administrator
from service.cli.output import print_table, say, warn
from service.components import Store, opened_store
from service.config import Settings
from service.errors import Refused

TOKEN_COLUMNS = ("token", "scopes", "made by", "ends", "last used", "revoked")


def run(arguments: argparse.Namespace) -> int:
    """Make a user or a token, revoke a token, or list the tokens."""
    settings: Settings = arguments.settings_tree
    name: str | None = arguments.name_of_user
    with opened_store(settings) as store:
        if arguments.tokens:
            return _list(store)
        if name is None:
            raise Refused("name a user, or a program with --token or --revoke-token")
        if arguments.revoke_token:
            revoke_token(store.database, administrator(), name)
            say(f"token {name} revoked")
            return 0
        if arguments.token:
            return _make(store, arguments, name)
        return _invite(store, arguments, name)


def _invite(store: Store, arguments: argparse.Namespace, name: str) -> int:
    """Print the link with which a user sets their password."""
    role, sees_patients = ActorRole(arguments.role), not arguments.without_patients
    secret = invite_person(store.database, administrator(), name, role, sees_patients=sees_patients)
    web = arguments.settings_tree.web
    host = web.names[0] if web.names else web.host
    say(f"{'http' if web.tls is None else 'https'}://{host}:{web.port}/invitation/{secret}")
    warn(f"The link lets {name} set a password, once, within {LINK_LASTS.total_seconds() / 60:.0f} minutes.")
    return 0


def _make(store: Store, arguments: argparse.Namespace, name: str) -> int:
    """Print a new token, once."""
    scopes = [TokenScope(word) for word in arguments.token]
    made = create_token(store.database, administrator(), name, scopes, days=arguments.days)
    say(made.secret)
    warn(f"The token is shown only now. It is valid until {made.token.ends_at:%Y-%m-%d}.")
    return 0


def _list(store: Store) -> int:
    rows = [
        [
            one.name,
            " ".join(one.scopes),
            one.made_by,
            one.ends_at.date(),
            one.seen_at or "never",
            one.ended_at or "",
        ]
        for one in list_tokens(store.database, administrator())
    ]
    print_table(TOKEN_COLUMNS, rows)
    return 0

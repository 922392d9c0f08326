"""Passwords: hashed by argon2id, at most two at once; those that everybody would try first are refused."""

import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from service.errors import Refused
from service.web.translation import _

SHORTEST, LONGEST = 12, 256
MOST_AT_ONCE = 2  # 64 MiB each
TOO_COMMON = frozenset(
    {
        "password",
        "passwort",
        "contournode",
        "radiotherapy",
        "hospital",
        "qwertyuiop",
        "administrator",
        "letmein",
    }
)

_HASHER = PasswordHasher()
_PLACES = threading.BoundedSemaphore(MOST_AT_ONCE)
_NOBODY = _HASHER.hash("the password of nobody")


def hash_password(password: str, user: str) -> str:
    """Return the argon2id hash of a new password; about 0.2 s of processor time.

    Raises:
        Refused: the password is too short, too long, or easily guessed.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise Refused(
            _("a password must have %(least)s to %(most)s characters", least=SHORTEST, most=LONGEST)
        )
    letters = "".join(sign for sign in password.casefold() if sign.isalpha())
    if letters in TOO_COMMON or len(set(password)) < 5 or user.casefold() in password.casefold():
        raise Refused(_("this password is too easy to guess; choose another one"))
    with _PLACES:
        return _HASHER.hash(password)


def is_password(password: str, password_hash: str) -> bool:
    """Tell whether a password matches a hash; an empty hash takes as long as any other, and never matches."""
    with _PLACES:
        try:
            _HASHER.verify(password_hash or _NOBODY, password[: LONGEST + 1])
        except (VerificationError, InvalidHashError):
            return False
    return bool(password_hash)

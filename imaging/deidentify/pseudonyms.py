"""What replaces identifiers, derived from a project's secret.

The same identifier always gets the same replacement, and nobody without the secret can invert it.
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

from pydicom.uid import UID

STANDARD_ROOT = "1.2.840.10008."
_REGISTERED = re.compile(r"1\.2\.840\.10008(\.\d{1,4})+")  # PS3.6 Annex A
_UID_BITS = 122  # as many as a random UUID has; with "2.25." at most 42 characters (PS3.5 B.2)
_LONGEST_SHIFT_DAYS = 3650
_SHORTEST_SHIFT_DAYS = 30


@dataclass(frozen=True)
class ProjectKey:
    """The secret of one project: 32 random bytes, never written into an object."""

    secret: bytes

    def uid(self, original: str) -> UID:
        """Return the UID that replaces another in this project; one that the standard registers is kept."""
        if is_registered(original):
            return UID(original)
        return UID(f"2.25.{int.from_bytes(self._mac('uid', original)) >> (256 - _UID_BITS)}")

    def pseudonym(self, patient_key: str) -> str:
        """Return the ten letters and digits that replace a patient in this project."""
        return "R" + base64.b32encode(self._mac("patient", patient_key))[:10].decode("ascii")

    def shift(self, patient_key: str) -> timedelta:
        """Return how far all dates of a patient are shifted in this project: one month to ten years into the past."""
        span = _LONGEST_SHIFT_DAYS - _SHORTEST_SHIFT_DAYS + 1
        return timedelta(
            days=-(_SHORTEST_SHIFT_DAYS + int.from_bytes(self._mac("shift", patient_key)) % span)
        )

    def _mac(self, purpose: str, value: str) -> bytes:
        return _mac(self.secret, purpose, value)


@lru_cache(maxsize=4096)  # the slices of a series share most of their UIDs, and their patient
def _mac(secret: bytes, purpose: str, value: str) -> bytes:
    return hmac.digest(secret, f"{purpose}\0{value}".encode(), hashlib.sha256)


@lru_cache(maxsize=4096)
def is_registered(uid: str) -> bool:
    """Tell whether the standard registers a UID: by its root, and by numbers as short as registered ones."""
    return bool(_REGISTERED.fullmatch(uid))

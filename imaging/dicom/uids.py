"""UIDs derived from what an object is made of, so that a retry makes the same object and never a duplicate."""

import uuid

_NAMESPACE = uuid.UUID("6f6d0c5e-5b0f-5d3a-9c5e-3c1f8f0b7a11")


def derived_uid(*parts: str) -> str:
    """Return the same UID under 2.25 for the same parts in the same order, and a different one for any other parts.

    A name-based UUID (RFC 9562, version 5) written as an integer, as PS3.5 B.2 has it: at most 44 characters.
    """
    if not parts:
        raise ValueError("a UID is derived from at least one part")
    name = "".join(f"{len(part)}:{part}" for part in parts)
    return f"2.25.{uuid.uuid5(_NAMESPACE, name).int}"

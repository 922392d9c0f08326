"""Brings a database to this program's schema."""


def upgrade(url: str) -> None:
    """Create or migrate the schema; several processes may call it at once."""
    raise NotImplementedError

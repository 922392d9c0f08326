"""The tables of the web page's people, sessions and tokens, for queries; part of the same METADATA."""

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from service.store.tables.schema import METADATA, ROW_ID, UtcTime

# People of the web page. A row is never removed: the audit trail names the person.
web_user = Table(
    "web_user",
    METADATA,
    Column("id", ROW_ID, primary_key=True),
    Column("name", String(128), nullable=False),
    Column("role", String(16), nullable=False),
    Column("sees_patients", Boolean, nullable=False, server_default=false()),
    Column("password_hash", String(255), nullable=False),  # argon2id; empty: none set yet
    Column("failed_sign_ins", Integer, nullable=False, server_default="0"),  # since the last successful one
    Column("locked_until", UtcTime),
    Column("made_at", UtcTime, nullable=False),
    Column("seen_at", UtcTime),
    Column("ended_at", UtcTime),  # may not sign in any more
    UniqueConstraint("name", name="web_user_name"),
)

# One browser that is signed in. The cookie holds the secret, the row only its SHA-256.
web_session = Table(
    "web_session",
    METADATA,
    Column("secret_sha256", String(64), primary_key=True),
    Column("user_id", ROW_ID, ForeignKey("web_user.id"), nullable=False, index=True),
    Column("made_at", UtcTime, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
    Column("ends_at", UtcTime, nullable=False),
    Column("address", String(64), nullable=False),
)

# One-time links by which a person sets a first or a new password.
web_invitation = Table(
    "web_invitation",
    METADATA,
    Column("secret_sha256", String(64), primary_key=True),
    Column("user_id", ROW_ID, ForeignKey("web_user.id"), nullable=False),
    Column("ends_at", UtcTime, nullable=False),
    Column("used_at", UtcTime),
)

# Programs that use the API. The row holds the SHA-256 of the token, never the token.
api_token = Table(
    "api_token",
    METADATA,
    Column("id", ROW_ID, primary_key=True),
    Column("name", String(64), nullable=False),
    Column("secret_sha256", String(64), nullable=False, unique=True),
    Column("scopes", String(255), nullable=False),  # "read operate"
    Column("made_by", String(128), nullable=False),
    Column("made_at", UtcTime, nullable=False),
    Column("ends_at", UtcTime, nullable=False),
    Column("seen_at", UtcTime),
    Column("ended_at", UtcTime),
    Index("api_token_name", "name"),
)

# Answers to orders of programs, by the key that the program gave: the same order twice is done once.
api_answer = Table(
    "api_answer",
    METADATA,
    Column("actor", String(128), primary_key=True),
    Column("key", String(128), primary_key=True),
    Column("request_sha256", String(64), nullable=False),
    Column("status", Integer),  # NULL: the order is being done, or was cut off
    Column("body", Text, nullable=False, server_default=""),
    Column("made_at", UtcTime, nullable=False, index=True),
)

"""The table of the node itself, one row: which node this is, whether it is held, and its clock.

Part of the same METADATA.
"""

from sqlalchemy import BigInteger, Column, Double, Integer, String, Table, Text

from service.store.tables.schema import METADATA, UtcTime

node = Table(
    "node",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("identity", String(36), nullable=False),  # the same in node.json of the storage folder
    Column("generation", BigInteger, nullable=False),  # goes up every minute, here first and then there
    Column("held_since", UtcTime),  # a person is asked: nothing is contoured or delivered meanwhile
    Column("held_reason", Text, nullable=False, server_default=""),
    Column("recovering_since", UtcTime),  # files without a row are being recorded
    Column("recovered_at", UtcTime),
    Column(
        "clock_at", UtcTime
    ),  # the last time at which the clock looked right, and the machine's uptime then
    Column("clock_boot_id", String(36), nullable=False, server_default=""),
    Column("clock_uptime_s", Double),
    Column("clock_accepted_at", UtcTime),  # a person said so: rows up to this time are no reason to doubt
    Column("clock_doubt", Text, nullable=False, server_default=""),
)

"""The DIMSE statuses that the node answers with, and where the standard defines each."""

from enum import IntEnum


class Status(IntEnum):
    """Statuses of answers to C-STORE, C-ECHO and N-EVENT-REPORT (PS3.4 Table B.2-1, PS3.7 Annex C)."""

    SUCCESS = 0x0000
    """The bytes are on the disk and the row is committed."""
    PROCESSING_FAILURE = 0x0110
    """PS3.7 Annex C: a storage commitment report that is unreadable, unexpected, or cannot be recorded."""
    DUPLICATE_SOP_INSTANCE = 0x0111
    """PS3.7 Annex C: another object is kept under this SOP Instance UID, with other content."""
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    """PS3.4 B.2-1: the request names another SOP class than its presentation context."""
    UNRECOGNIZED_OPERATION = 0x0211
    """PS3.7 Annex C: neither C-STORE nor C-ECHO, nor a report of storage commitment."""
    OUT_OF_RESOURCES = 0xA700
    """PS3.4 B.2-1: disk full, file system read-only, or database not available; the sender may retry."""
    DATA_SET_DOES_NOT_MATCH_SOP_CLASS = 0xA900
    """PS3.4 B.2-1: SOP Class or Instance UID of the dataset and of the request differ."""
    CANNOT_UNDERSTAND = 0xC000
    """PS3.4 B.2-1: the dataset is cut short, malformed, or lacks what every instance has."""

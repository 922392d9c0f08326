"""What can go wrong in the store, sorted by what the caller does next."""

from service.errors import Refused, TryAgain


class StorageUnavailable(TryAgain):
    """A file could not be made durable; nothing may be acknowledged."""


class StorageFull(StorageUnavailable):
    """The disk is full, over quota or read-only; the receiver answers 0xA700."""


class FileLost(Refused):
    """A file that a row names is not in the storage folder."""


class FileDamaged(FileLost):
    """A stored file is missing, or its bytes have changed."""

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.path = path


class DatabaseUnavailable(TryAgain):
    """The database is gone, locked or full; it is not known whether the last change was kept."""


class NotRecorded(Refused):
    """The database refused this one record for good."""


class NotAllowed(Refused):
    """The job is not in a state in which this can be done; the message says in which it is."""


class NoSuchJob(NotAllowed):
    """There is no job with this number."""


class JobChanged(NotAllowed):
    """The job changed after the person or program that gives the order looked at it."""


class NoSuchRuleSet(NotAllowed):
    """There is no version of the rules with this number."""


class RulesChanged(NotAllowed):
    """The active version of the rules is no longer the one that the person or program had seen."""


class DatabaseDamaged(DatabaseUnavailable):
    """The SQLite file is not a database, or is inconsistent: a person has to restore a copy."""

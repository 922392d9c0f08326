"""What can go wrong in the store, sorted by what the caller does next."""

from service.errors import Refused, TryAgain


class StorageUnavailable(TryAgain):
    """A file could not be made durable; nothing may be acknowledged."""


class StorageFull(StorageUnavailable):
    """The disk is full, over quota or read-only; the receiver answers 0xA700."""


class FileLost(Refused):
    """A row names a file that is not in the storage folder."""


class FileDamaged(FileLost):
    """A stored file is missing or has other bytes than were kept."""

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.path = path


class DatabaseUnavailable(TryAgain):
    """The database is gone, locked or full; whether the last change was kept is not known."""


class NotRecorded(Refused):
    """The database refused this one record for good."""


class NotAllowed(Refused):
    """The job is not in a state in which this can be done; the message says in which it is."""


class NoSuchJob(NotAllowed):
    """There is no job with this number."""


class JobChanged(NotAllowed):
    """Something happened to the job since the person or program that orders looked at it."""


class NoSuchRuleSet(NotAllowed):
    """There is no version of the rules with this number."""


class RulesChanged(NotAllowed):
    """Another version of the rules holds than the one that the person or program had seen."""


class DatabaseDamaged(DatabaseUnavailable):
    """The SQLite file is no database any more, or contradicts itself: a person has to bring back a copy."""

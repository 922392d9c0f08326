"""What can go wrong when people are to be told."""

from service.errors import TryAgain


class NotDelivered(TryAgain):
    """The message did not certainly arrive; it is sent again."""

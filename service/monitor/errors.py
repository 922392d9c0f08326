"""Errors of sending notifications."""

from service.errors import TryAgain


class NotDelivered(TryAgain):
    """The message may not have arrived; it is sent again."""

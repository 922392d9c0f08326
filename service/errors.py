"""What happens next when a step fails: try again later, or never. Anything else is a bug."""


class TryAgain(Exception):
    """Something that the step needs is not available now; the message says what to wait for."""


class Refused(Exception):
    """The step will never succeed on this input; the message is the reason in plain words."""

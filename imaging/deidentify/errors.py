"""Why an object is not de-identified, or not re-identified."""


class DeidentificationRefused(Exception):
    """No research copy of this object can be made; the message names the object, the attribute and what to do."""


class ReidentificationRefused(Exception):
    """The object cannot be re-identified; the message names what is unknown."""

"""Why something cannot be evaluated, in words for the person who asked."""


class EvaluationRefused(Exception):
    """Input from which no trustworthy value follows; the message names the file or structure and what to do."""

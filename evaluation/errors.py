"""Why something cannot be evaluated, in words for the person who asked."""


class EvaluationRefused(Exception):
    """Input that gives no value that could be trusted; the message names the file or structure and what to do."""

"""What is wrong with a file, in one line."""

from pydantic import ValidationError

from inference.contract.repository import field_faults


def faults_of(error: Exception) -> str:
    """List each of pydantic's findings as ``field: reason``; give any other error's own text on one line."""
    return field_faults(error) if isinstance(error, ValidationError) else " ".join(str(error).split())

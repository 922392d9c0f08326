"""The faults that pydantic found in a file, in one line."""

from pydantic import ValidationError


def faults_of(error: Exception) -> str:
    """Each fault as ``field: reason``; other errors in their own words, on one line."""
    if isinstance(error, ValidationError):
        found = error.errors(include_url=False)
        return "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'the whole'}: {fault['msg']}" for fault in found
        )
    return " ".join(str(error).split())

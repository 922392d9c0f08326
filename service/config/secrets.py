"""Secrets are in files of their own, which can be protected, and changed while the node runs."""

from pathlib import Path

LONGEST_BYTES = 65536


class SecretMissing(Exception):
    """The file of a secret cannot be read, or is empty; the message names the file, never its content."""


def read_secret(path: Path) -> str:
    """Return the text of the file without surrounding white space; raises SecretMissing if there is none."""
    try:
        with path.open("rb") as file:
            text = file.read(LONGEST_BYTES).decode("utf-8").strip()
    except OSError as error:
        raise SecretMissing(f"the file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SecretMissing(f"the file {path} is not text in UTF-8") from error
    if not text:
        raise SecretMissing(f"the file {path} is empty")
    return text

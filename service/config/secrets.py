"""Secrets stand in files of their own, which their users can keep from other eyes and change while the node runs."""

from pathlib import Path

LONGEST_BYTES = 65536


class SecretMissing(Exception):
    """The file of a secret cannot be read, or holds none; the message names the file, never what stands in it."""


def read_secret(path: Path) -> str:
    """Give the text of the file without white space round it; raises SecretMissing where there is none."""
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

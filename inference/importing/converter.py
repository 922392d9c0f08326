"""Orders a conversion from a child process and checks its answer; this module itself does not use torch."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import JsonValue, ValidationError

import inference
from inference.child_process import die_with_parent
from inference.contract.repository import field_faults
from inference.errors import ImportRefused
from inference.importing.draft import ImportDraft, ImportRequest
from inference.importing.isolation import Limits

_NEEDED = ("torch", "safetensors")
_LONGEST_ANSWER = 64 * 2**20


def convert(request: ImportRequest, limits: Limits | None = None) -> tuple[ImportDraft, str]:
    """Convert a foreign model into ``request.out``; return its draft, and how the child was kept off the network.

    Raises ImportRefused for whatever is wrong with the model, and where it exceeds the limits.
    """
    answer, isolation = ordered("convert", request.model_dump(mode="json"), limits or Limits())
    try:
        draft = ImportDraft.model_validate(answer)
    except ValidationError as error:
        raise ImportRefused(f"the converter's answer is not valid: {field_faults(error)}") from error
    lacking = [name for name in draft.files if not (request.out / name).is_file()]
    if lacking:
        raise ImportRefused(f"the converter names files that it did not write: {lacking}")
    return draft, isolation


def ordered(act: str, order: Mapping[str, Any], limits: Limits) -> tuple[JsonValue, str]:
    """Run one act of `inference.importing.child` and return its answer, and how the network was blocked."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ImportRefused(
            f"importing needs {', '.join(missing)}, not installed here: pip install 'contour-node[training]'"
        )
    with tempfile.TemporaryDirectory(prefix="contour-import-") as scratch, tempfile.TemporaryFile() as said:
        told = json.dumps({"act": act, "limits": limits.model_dump(), "order": dict(order)})
        child = subprocess.Popen(
            [sys.executable, "-s", "-m", "inference.importing.child"],
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=subprocess.PIPE,
            env=_environment(scratch),
            preexec_fn=die_with_parent,
        )
        try:
            _, trouble = child.communicate(told.encode("utf-8"), timeout=limits.wall_s)
        except subprocess.TimeoutExpired as error:
            child.kill()
            child.communicate()
            raise ImportRefused(
                f"the converter took longer than {limits.wall_s:g} s and was ended"
            ) from error
        said.seek(0)
        return _understood(said.read(_LONGEST_ANSWER), child.returncode, trouble, limits)


def _environment(scratch: str) -> dict[str, str]:
    """Return an environment with none of the parent's variables but the search path: they may hold passwords."""
    packages = str(Path(inference.__file__).resolve().parent.parent)
    return {
        "PATH": os.defpath,
        "PYTHONPATH": packages,
        "PYTHONDONTWRITEBYTECODE": "1",
        "LANG": "C.UTF-8",
        "HOME": scratch,
        "TMPDIR": scratch,
    }


def _understood(said: bytes, code: int, trouble: bytes, limits: Limits) -> tuple[JsonValue, str]:
    last = trouble.decode("utf-8", "replace").strip().splitlines()[-1:]
    if code != 0:
        reason = f"it was ended by signal {-code}" if code < 0 else "it failed"
        raise ImportRefused(
            f"the converter did not finish: {reason} ({limits.memory_gib:g} GiB of memory, {limits.cpu_s} s of "
            f"processor time, files of {limits.file_gib:g} GiB at most){': ' + last[0] if last else ''}"
        )
    try:
        answer = json.loads(said)
        refusal, isolation = answer["refused"], str(answer["isolation"])
    except (ValueError, KeyError, TypeError) as error:
        raise ImportRefused(f"the converter's answer cannot be read: {said[:200]!r}") from error
    if refusal is not None:
        raise ImportRefused(str(refusal))
    return answer["answer"], isolation

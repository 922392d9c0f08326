"""The child process of an import: `python -m inference.importing.child`.

It reads an order as JSON from standard input and writes an answer to standard output.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from inference.errors import ImportRefused
from inference.importing.isolation import Limits, shut_in

# The converters by name, each a function of this package: (source, options, out) -> ImportDraft.
IMPORTERS: Mapping[str, str] = {
    "monai-bundle": "inference.importing.monai_bundle:read_monai_bundle",
    "nnunet": "inference.importing.nnunet:read_nnunet",
    "totalsegmentator": "inference.importing.totalsegmentator:read_totalsegmentator",
    "onnx": "inference.importing.onnx:read_onnx",
    "torchscript": "inference.importing.torchscript:read_torchscript",
}


def main() -> int:
    """Isolate this process, carry out the order, and answer; a refusal is an answer too."""
    told = json.loads(sys.stdin.buffer.read())
    answers = os.dup(1)
    os.dup2(2, 1)  # anything a library prints must not mix with the answer
    isolation = shut_in(Limits.model_validate(told["limits"]))
    acts: dict[str, Callable[[Mapping[str, Any]], Any]] = {
        "convert": _convert,
        "self_test": _self_test,
        "compare_bfloat16": _compare_bfloat16,
    }
    answer, refused = None, None
    try:
        answer = acts[told["act"]](told["order"])
    except ImportRefused as reason:
        refused = str(reason)
    except OSError as reason:
        refused = f"the converter could not read or write: {reason}"
    except MemoryError:
        refused = f"the model takes more than {told['limits']['memory_gib']:g} GiB of memory"
    with os.fdopen(answers, "w", encoding="utf-8") as out:
        json.dump({"answer": answer, "refused": refused, "isolation": isolation}, out)
    return 0


def _convert(order: Mapping[str, Any]) -> Any:
    from inference.importing.draft import ImportRequest
    from inference.importing.sources import opened

    request = ImportRequest.model_validate(order)
    if request.importer not in IMPORTERS:
        raise ImportRefused(f"no importer {request.importer!r}; there are: {', '.join(sorted(IMPORTERS))}")
    read = resolve_name(IMPORTERS[request.importer])
    with opened(request.source, Path(tempfile.gettempdir())) as source:
        return read(source, request.options, request.out).model_dump(mode="json")


def _self_test(order: Mapping[str, Any]) -> Any:
    from inference.importing.self_test import run_self_test

    return run_self_test(Path(order["version_folder"]), Path(order["phantom"]))


def _compare_bfloat16(order: Mapping[str, Any]) -> Any:
    from inference.importing.self_test import compare_bfloat16

    return compare_bfloat16(Path(order["version_folder"]), Path(order["phantom"]))


if __name__ == "__main__":
    sys.exit(main())

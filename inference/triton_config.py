"""Triton's config.pbtxt, generated from the contracts of a model's versions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imaging.atomic_files import write_atomically
from inference.contract import ModelContract, identity, model_versions
from inference.input_checksum import OUTPUT as SEEN
from inference.input_checksum import SIZE_BYTES

CONFIG_FILE = "config.pbtxt"
# model.py of every version whose runtime the project executes.
MODEL_ENTRY = '''"""Triton\'s entry: contract.json beside this file says what is loaded and how."""

from inference.server.triton_backend import ServedModel as TritonPythonModel

__all__ = ["TritonPythonModel"]
'''

_HEAD = """\
# Made from contract.json by `contour-node models config {name}`: edit the contract, not this file.
# image (z, y, x), index z to superior, y to posterior, x to left, and spacing_mm (z, y, x)
# -> masks (plane, z, y, x): structure i is bit i % 8 of plane i // 8, mean_probability, one a structure, and
# input_sha256, the checksum of what the model saw, which the node compares.
# threads: processor threads of one instance; 0: as many as the process may use. Each version's labels and checksum
# of its package are compared with the node's contract before an answer is trusted.
"""


def triton_config(versions: Mapping[int, ModelContract]) -> dict[str, Any]:
    """Return the configuration of one model as Triton's JSON; ``versions`` holds at least one contract."""
    newest = versions[max(versions)]
    parameters = {"threads": "0"}
    for _, contract in sorted(versions.items()):
        parameters |= identity(contract)
    return {
        "name": newest.name,
        "backend": "python",
        "max_batch_size": 0,
        "input": [
            _tensor("image", "TYPE_INT16" if newest.in_hounsfield_units else "TYPE_FP32", 3),
            {"name": "spacing_mm", "data_type": "TYPE_FP32", "dims": [3]},
        ],
        "output": [
            _tensor("masks", "TYPE_UINT8", 4),
            _tensor("mean_probability", "TYPE_FP32", 1),
            {"name": SEEN, "data_type": "TYPE_UINT8", "dims": [SIZE_BYTES]},
        ],
        # one instance a GPU, or one on the processor where there is no GPU
        "instance_group": [{"count": 1, "kind": "KIND_AUTO"}],
        "version_policy": {"all": {}},
        "parameters": {key: {"string_value": value} for key, value in parameters.items()},
    }


def write_triton_config(model_folder: Path) -> Path:
    """Write config.pbtxt of a model's folder from its contracts and return its path; raises ContractRefused."""
    text = pbtxt(triton_config(model_versions(model_folder)))
    write_atomically(model_folder / CONFIG_FILE, text)
    return model_folder / CONFIG_FILE


def pbtxt(config: Mapping[str, Any]) -> str:
    """Return a configuration of ``triton_config`` as the text of config.pbtxt."""
    lines = [_HEAD.format(name=config["name"])]
    lines += [f"{key}: {_scalar(key, config[key])}\n" for key in ("name", "backend", "max_batch_size")]
    for key in ("input", "output", "instance_group"):
        entries = ",\n".join(f"  {{ {_fields(entry)} }}" for entry in config[key])
        lines.append(f"{key} [\n{entries}\n]\n")
    lines.append("version_policy: { all: { } }\n")
    entries = ",\n".join(
        f'  {{ key: "{key}" value: {{ string_value: "{value["string_value"]}" }} }}'
        for key, value in config["parameters"].items()
    )
    lines.append(f"parameters [\n{entries}\n]\n")
    return "".join(lines)


def _tensor(name: str, data_type: str, axes: int) -> dict[str, Any]:
    return {"name": name, "data_type": data_type, "dims": [-1] * axes}


def _fields(entry: Mapping[str, Any]) -> str:
    return " ".join(f"{key}: {_scalar(key, value)}" for key, value in entry.items())


def _scalar(key: str, value: Any) -> str:
    if isinstance(value, list):
        return f"[ {', '.join(str(item) for item in value)} ]"
    quoted = isinstance(value, str) and key not in {"data_type", "kind"}
    return f'"{value}"' if quoted else str(value)

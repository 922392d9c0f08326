"""A contouring model with a small random network, as publishing leaves it in a model repository."""

import hashlib
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save

from inference.server.networks.catalogue import build
from inference.spec import ModelSpec
from tests.support.models import spec_document
from tests.support.triton import HN_OAR

CODES = ("A", "B", "C")


def make_tiny_model(root: Path, name: str = "tiny") -> ModelSpec:
    """Write ``root/name`` with hn_oar's own model.py and config, and return its spec."""
    folder = root / name
    (folder / "1").mkdir(parents=True)
    shutil.copy(HN_OAR / "1" / "model.py", folder / "1" / "model.py")
    config = (HN_OAR / "config.pbtxt").read_text().replace('"hn_oar"', f'"{name}"')
    labels = next(line for line in config.splitlines() if '"labels"' in line)
    config = config.replace(labels, f'  {{ key: "labels" value: {{ string_value: "{",".join(CODES)}" }} }},')
    (folder / "config.pbtxt").write_text(config)
    document = spec_document(name, CODES)
    document["structures"] = [{"code": code, "threshold": 0.4, "single_piece": False} for code in CODES]
    spec = ModelSpec.model_validate(document)
    torch.manual_seed(5)
    network = build(spec.network)
    weights = save(network.state_dict())
    (folder / "1" / "weights.safetensors").write_bytes(weights)
    document["provenance"]["weights_sha256"] = hashlib.sha256(weights).hexdigest()
    (folder / "spec.json").write_text(json.dumps(document))
    return ModelSpec.model_validate(document)

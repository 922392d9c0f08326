"""A contouring model with a small random network, as publishing leaves it in a model repository."""

import hashlib
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save

from inference.contract import ModelContract, load_contract, model_versions
from inference.server.networks.catalogue import build_network
from inference.triton_config import pbtxt, triton_config
from tests.support.models import contract_document
from tests.support.triton import HN_OAR

CODES = ("A", "B", "C")


def make_tiny_model(
    root: Path, name: str = "tiny", version: int = 1, seed: int = 5, codes: tuple[str, ...] = CODES
) -> ModelContract:
    """Write a version of ``root/name`` with hn_oar's own model.py, and return its contract."""
    folder = root / name / str(version)
    folder.mkdir(parents=True)
    shutil.copy(HN_OAR / "1" / "model.py", folder / "model.py")
    document = contract_document(name, codes, version=version)
    document["structures"] = [{"code": code, "threshold": 0.4, "single_piece": False} for code in codes]
    torch.manual_seed(seed)
    network = build_network(ModelContract.model_validate(document).runtime.networks["network"])
    weights = save(network.state_dict())
    (folder / "weights.safetensors").write_bytes(weights)
    document["checksums"] = {"weights.safetensors": hashlib.sha256(weights).hexdigest()}
    (folder / "contract.json").write_text(json.dumps(document))
    (root / name / "config.pbtxt").write_text(pbtxt(triton_config(model_versions(root / name))))
    return load_contract(folder)

"""The bundle runtime: a network of the catalogue, a TorchScript or an ONNX file, between the steps of its contract."""

import hashlib
from pathlib import Path

import torch

from inference.contract import BundleRuntime, ModelContract, NetworkDefinition
from inference.server.bundle.predictor import BundlePredictor
from inference.server.bundle.script import load_script
from inference.server.bundle.windows import Answer
from inference.server.predictor import ServedPredictor
from inference.server.runtimes.native import load_network


def load_bundle(contract: ModelContract, folder: Path, device: torch.device) -> ServedPredictor:
    """Load the network in a version's folder.

    Raises ValueError where its file does not have the contract's checksum, or does not fit.
    """
    runtime = contract.runtime
    if not isinstance(runtime, BundleRuntime):
        raise ValueError(f"{contract.name} has the runtime {runtime.kind}, not bundle")
    file, sha256 = folder / runtime.network.file, contract.checksums[runtime.network.file]
    if runtime.network.form == "catalogue":
        definition = NetworkDefinition(
            architecture=runtime.network.architecture,
            parameters=runtime.network.parameters,
            weights=runtime.network.file,
        )
        answer = _on(load_network(definition, folder, sha256).to(device), device)
    else:
        _expect_checksum(file, sha256)
        answer = _scripted(file, device) if runtime.network.form == "torchscript" else _onnx(file)
    return BundlePredictor(contract=contract, runtime=runtime, answer=answer)


def _expect_checksum(file: Path, sha256: str) -> None:
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != sha256:
        raise ValueError(f"{file}: sha256 {found}, but contract.json was published with {sha256}")


def _on(network: torch.nn.Module, device: torch.device) -> Answer:
    def answer(images: torch.Tensor) -> torch.Tensor:
        found = network(images.to(device))
        if not isinstance(found, torch.Tensor):
            raise ValueError(f"the network answered {type(found).__name__}, expected one tensor")
        return found.to("cpu", torch.float32)

    return answer


def _scripted(file: Path, device: torch.device) -> Answer:
    """Load TorchScript, which torch's own interpreter runs without Python; the importer has checked the archive."""
    try:
        network = load_script(file, device)
    except RuntimeError as error:
        raise ValueError(f"{file} is not TorchScript that this torch can load: {error}") from error
    return _on(network, device)


def _onnx(file: Path) -> Answer:
    """Load ONNX into onnxruntime, on the processor."""
    import onnxruntime  # not at the top: only models of this form need it

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ValueError(f"{file} is not ONNX that onnxruntime can load: {error}") from error
    name = session.get_inputs()[0].name

    def answer(images: torch.Tensor) -> torch.Tensor:
        (found,) = session.run(None, {name: images.numpy()})
        return torch.from_numpy(found).to(torch.float32)

    return answer

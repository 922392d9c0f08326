"""Each 2-D network in the engines that could serve it: milliseconds per slice, all engines in turn.

    .venv/bin/python -m bench.slice_networks --out runs/slice_networks

The published widths, one slice of 256 x 256 pixels per structure, random weights, one thread. PyTorch is measured as it
is served (`serving_form` in float32, and in bfloat16 by autocast) and eager; ONNX Runtime and OpenVINO where they are
installed: in a separate environment that finds torch, never in the node's. Seconds are the process's own (CPU),
the least of the rounds: a busy machine changes them little.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn

from inference.contract import NetworkDefinition
from inference.server.networks.catalogue import build_network
from inference.server.precision import AutocastNetwork
from inference.server.serving_form import serving_form

SIZE_YX = (256, 256)
Call = Callable[[], object]
NETWORKS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "modified ResNet34": ("modified_resnet", {"in_channels": 1}),
    "U-Net": ("unet2d", {"in_channels": 1}),
    "DpnUNet": ("dpn_unet", {"in_channels": 5, "out_channels": 5}),
    "Mnet_Im": ("mnet", {"in_channels": 5}),
    "M-Net": ("mnet", {"in_channels": 5, "side_inputs": [64, 128, 256], "ending": "mean"}),
    "Unet++": ("unet_plus_plus", {"in_channels": 5}),
    "DeepLabV3+ Xception-65": ("deeplab_v3_plus", {"in_channels": 3}),
}


def main() -> None:
    """Print one row per network, and write all of them as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--networks", nargs="+", choices=sorted(NETWORKS), default=list(NETWORKS))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    rows = []
    for name in arguments.networks:
        rows.append({"network": name, **_measured(name, arguments.out, arguments.rounds)})
        print(json.dumps(rows[-1]), flush=True)
        (arguments.out / "slice_networks.json").write_text(json.dumps(rows, indent=1))


def _measured(name: str, folder: Path, rounds: int) -> dict[str, object]:
    torch.manual_seed(0)
    architecture, parameters = NETWORKS[name]
    definition = NetworkDefinition(architecture=architecture, parameters=parameters)
    network = build_network(definition).eval()
    inputs = torch.randn((1, int(parameters["in_channels"]), *SIZE_YX))
    engines = dict(_engines(network, inputs, folder / f"{architecture}.onnx"))
    seconds = dict.fromkeys(engines, float("inf"))
    for _ in range(rounds + 1):  # the first round is slow: engines plan in it
        for engine, call in engines.items():
            started = time.process_time()
            call()
            seconds[engine] = min(seconds[engine], time.process_time() - started)
    return {
        "parameters": sum(values.numel() for values in network.parameters()),
        **{engine: round(1000 * value, 1) for engine, value in seconds.items()},
    }


def _engines(network: nn.Module, inputs: torch.Tensor, onnx: Path) -> Iterator[tuple[str, Call]]:
    served = serving_form(network)
    half = AutocastNetwork(served)
    half.measured.dtype = torch.bfloat16
    yield "eager", _inference(network, inputs)
    yield "served float32", _inference(served, inputs)
    yield "served bfloat16", _inference(half, inputs)
    if find_spec("onnxruntime") is None or find_spec("openvino") is None:
        return
    torch.onnx.export(network, (inputs,), onnx, dynamo=False, opset_version=17, input_names=["x"])
    yield from _peers(onnx, inputs)


def _inference(network: nn.Module, inputs: torch.Tensor) -> Call:
    def call() -> object:
        with torch.inference_mode():
            return network(inputs)

    return call


def _peers(onnx: Path, inputs: torch.Tensor) -> Iterator[tuple[str, Call]]:
    import onnxruntime  # only in an environment for this measurement
    import openvino  # type: ignore[import-not-found]

    how = onnxruntime.SessionOptions()
    how.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(onnx), how, providers=["CPUExecutionProvider"])
    array = inputs.numpy()
    yield "ONNX Runtime float32", partial(session.run, None, {"x": array})
    core = openvino.Core()
    for precision, name in (("f32", "float32"), ("bf16", "bfloat16")):
        settings = {
            "INFERENCE_NUM_THREADS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": precision,
        }
        compiled = core.compile_model(core.read_model(onnx), "CPU", settings)
        yield f"OpenVINO {name}", partial(compiled, [array])


if __name__ == "__main__":
    main()

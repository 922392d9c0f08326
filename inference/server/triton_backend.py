"""The class that Triton's python backend calls for every contouring model: load, then one image in, bit planes out."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import triton_python_backend_utils as pb_utils

from inference.contract import ModelContract, identity, load_contract
from inference.input_checksum import OUTPUT as SEEN
from inference.input_checksum import ChecksumBeside
from inference.server.runtimes.catalogue import load_predictor


class ServedModel:
    """One instance: a model version on a processor or a GPU. Requests are answered one at a time."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the package of this version; Triton reports any refusal as a failed load."""
        folder = Path(args["model_repository"]) / args["model_version"]
        self._contract = load_contract(folder)
        parameters = {
            key: value["string_value"]
            for key, value in json.loads(args["model_config"])["parameters"].items()
        }
        _expect_same_version(self._contract, parameters)
        threads = int(parameters["threads"])
        torch.set_num_threads(threads or len(os.sched_getaffinity(0)))
        on_gpu = args["model_instance_kind"] == "GPU"
        device = (
            torch.device("cuda", int(args["model_instance_device_id"])) if on_gpu else torch.device("cpu")
        )
        with torch.inference_mode():
            self._predictor = load_predictor(self._contract, folder, device)
            self._predictor.warm_up()

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer each request; a request that fails is answered with its error, the others are not affected."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        image = pb_utils.get_input_tensor_by_name(request, "image").as_numpy()
        spacing = pb_utils.get_input_tensor_by_name(request, "spacing_mm").as_numpy()
        if not (np.isfinite(spacing).all() and (spacing > 0).all() and image.size):
            error = pb_utils.TritonError(f"no image: shape {image.shape}, spacing {spacing.tolist()} mm")
            return pb_utils.InferenceResponse(error=error)
        seen = ChecksumBeside(image, spacing)
        z, y, x = (float(step) for step in spacing)
        with torch.inference_mode():
            found = self._predictor.predict(image, (z, y, x), self._stopwatch(image.shape))
        return pb_utils.InferenceResponse(
            [
                pb_utils.Tensor("masks", found.planes),
                pb_utils.Tensor("mean_probability", found.mean_probability),
                pb_utils.Tensor(SEEN, seen.value()),
            ]
        )

    def _stopwatch(self, shape: tuple[int, ...]) -> Any:
        """Return a function that logs each stage of one request with its seconds."""
        started = time.monotonic()

        def done(stage: str) -> None:
            nonlocal started
            now = time.monotonic()
            pb_utils.Logger.log_info(f"{self._contract.name} {shape}: {stage} {now - started:.2f} s")
            started = now

        return done


def _expect_same_version(contract: ModelContract, parameters: Mapping[str, str]) -> None:
    """Refuse a configuration, which the loading client may supply, that is not that of the package here."""
    for key, expected in identity(contract).items():
        if parameters.get(key) != expected:
            raise ValueError(
                f"{key} is {parameters.get(key)!r} in the configuration, but {expected!r} in contract.json here: node "
                "and server use different model repositories, or config.pbtxt is older than the contract"
            )

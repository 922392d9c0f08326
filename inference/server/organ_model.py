"""What Triton's python backend calls for every contouring model: loading, and one CT in, bit planes out."""

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import triton_python_backend_utils as pb_utils

from inference.server.pipelines.organs import TILES_AT_ONCE, contour_organs
from inference.server.predictor import load_network, tile_predictor
from inference.spec import load_spec


class OrganModel:
    """One instance: a network on a processor or a GPU. Requests are answered one after the other."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load spec.json and weights.safetensors of this version; Triton reports any refusal as a failed load."""
        folder = Path(args["model_repository"])
        self._spec = load_spec(folder)
        config = json.loads(args["model_config"])
        threads = int(config["parameters"]["threads"]["string_value"])
        torch.set_num_threads(threads or len(os.sched_getaffinity(0)))
        on_gpu = args["model_instance_kind"] == "GPU"
        device = (
            torch.device("cuda", int(args["model_instance_device_id"])) if on_gpu else torch.device("cpu")
        )
        network = load_network(self._spec, folder / args["model_version"] / "weights.safetensors")
        self._predict = tile_predictor(network, self._spec, device)
        with torch.inference_mode():
            tiles = torch.zeros((TILES_AT_ONCE, *self._spec.pipeline.tile_zyx))
            self._predict(tiles)  # the first tiles are slow: not a patient's

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer each request; a request that fails is answered with its error, the others are not touched."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        hu = pb_utils.get_input_tensor_by_name(request, "hu").as_numpy()
        spacing = pb_utils.get_input_tensor_by_name(request, "spacing_mm").as_numpy()
        if not (np.isfinite(spacing).all() and (spacing > 0).all() and hu.size):
            error = pb_utils.TritonError(f"no CT: shape {hu.shape}, spacing {spacing.tolist()} mm")
            return pb_utils.InferenceResponse(error=error)
        z, y, x = (float(step) for step in spacing)
        with torch.inference_mode():
            organs = contour_organs(hu, (z, y, x), self._predict, self._spec, self._stopwatch(hu.shape))
        return pb_utils.InferenceResponse(
            [
                pb_utils.Tensor("masks", organs.planes),
                pb_utils.Tensor("mean_probability", organs.mean_probability),
            ]
        )

    def _stopwatch(self, shape: tuple[int, ...]) -> Any:
        """A function that logs each stage of one request with its seconds."""
        started = time.monotonic()

        def done(stage: str) -> None:
            nonlocal started
            now = time.monotonic()
            pb_utils.Logger.log_info(f"{self._spec.name} {shape}: {stage} {now - started:.2f} s")
            started = now

        return done

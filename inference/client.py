"""The client of a Triton server: sends and receives tensors by system shared memory or gRPC."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
import tritonclient.grpc as triton
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException

from imaging.volumes.volume import Volume
from inference.case_memory import make_room_for, memory_need_bytes
from inference.contract import ModelContract, identity
from inference.errors import AnswerLost, ModelFailed, ModelUnavailable
from inference.host_memory import Memory, host_memory
from inference.input_checksum import OUTPUT as SEEN
from inference.input_checksum import SIZE_BYTES, ChecksumBeside
from inference.local_socket import SCHEME, ChannelTarget
from inference.model_control import ModelControl
from inference.request_tensors import Output, decoded, triton_input
from inference.self_test import MODEL as KNOWN_TENSOR
from inference.self_test import difference, known_tensors
from inference.shared_region import SharedRegion, is_gone, offsets, remove_leftovers

Tensors = dict[str, NDArray[np.generic]]

_Exchange = Callable[[str, str, Tensors, Mapping[str, "Output"]], Tensors]

_QUICK_S = 10.0
_LOST = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"})
_NOT_REACHED = "failed to connect"
_LATER = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "RESOURCE_EXHAUSTED", "NOT_FOUND"})
_DEAD_PROCESS = ("Stub process", "is not healthy")
_LATER_WORDS = ("is not ready", "has no available versions", "unknown model", *_DEAD_PROCESS)


@dataclass(frozen=True, kw_only=True, eq=False)
class Prediction:
    """A model's answer: bit planes (plane, z, y, x) on the CT's grid, and a mean probability per structure."""

    planes: NDArray[np.uint8]
    mean_probability: NDArray[np.float32]


class TritonClient:
    """One connection to one server, for one thread at a time.

    Every failure of the server or the network is raised as ModelUnavailable (try again later) or ModelFailed.
    """

    def __init__(
        self,
        url: str,
        *,
        shared_memory: bool,
        timeout_s: float,
        models_at_once: int = 0,
        load_timeout_s: float = 180.0,
        memory: Callable[[], Memory] = host_memory,
    ) -> None:
        """Connect to ``url``, host:port of gRPC or ``unix:<absolute path>``; ``shared_memory``: both share /dev/shm.

        At most ``models_at_once`` model versions stay loaded; 0: none is unloaded to make room for another.
        """
        self.url = url
        self._shared_memory = shared_memory
        self._timeout_s = timeout_s
        self._memory = memory
        self._is_here = shared_memory or url.startswith(SCHEME)
        self._target = ChannelTarget(url)
        self._server = triton.InferenceServerClient(self._target.target)
        self.models = ModelControl(self._server, url, at_once=models_at_once, load_timeout_s=load_timeout_s)

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._server.close()
        self._target.close()

    def live(self) -> bool:
        """Tell whether the server answers."""
        try:
            return bool(self._server.is_server_live(client_timeout=_QUICK_S))
        except InferenceServerException:
            return False

    def serves(self) -> bool:
        """Tell whether a server of this node answers: one with the self-test, which any other Triton lacks."""
        with suppress(ModelUnavailable, ModelFailed):
            self.ready(KNOWN_TENSOR)
            return True
        return False

    def ready(self, model: str) -> None:
        """Check that the server can run the model now; raises ModelUnavailable otherwise."""
        with self._translated(model):
            if not self._server.is_model_ready(model, client_timeout=_QUICK_S):
                raise ModelUnavailable(f"model {model} is not ready on the Triton server at {self.url}")

    def check(self) -> None:
        """Have a known tensor returned, by each transport in use, and remove what dead clients left.

        Raises ModelFailed where anything is returned changed: the server must then not be used.
        """
        self.ready(KNOWN_TENSOR)
        sent = known_tensors()
        outputs = {name: Output(shape=tensor.shape, dtype=tensor.dtype) for name, tensor in sent.items()}
        outputs["checksums"] = Output(shape=(len(sent),), dtype=np.int64)
        self._exchange_known(self._over_grpc, sent, outputs, "gRPC")
        if self._shared_memory:
            self._forget_leftovers()
            self._exchange_known(self._over_shared_memory, sent, outputs, "shared memory")

    def infer(self, contract: ModelContract, volume: Volume) -> Prediction:
        """Contour a volume in canonical orientation (see imaging.volumes.orientation) with the contract's version.

        The version is loaded first where it is not. The arrays of the answer belong to the caller. Raises, before
        anything is sent, ModelUnavailable or CaseTooLarge where the case does not fit into this host's memory now, or
        ever; AnswerLost where the server ended or fell silent while it had the volume; ModelFailed where it has other
        labels or another package than the contract, or where the model saw a different volume.
        """
        need = memory_need_bytes(contract, volume.grid, is_server_here=self._is_here)
        make_room_for(need, contract.name, volume.grid, self._memory, self.models.unload_all)
        self.models.make_ready(contract)
        self._expect_same_version(contract)
        image, spacing_mm = volume.array_zyx, np.array(volume.grid.spacing_zyx_mm, np.float32)
        sent: Tensors = {
            "image": image if contract.in_hounsfield_units else image.astype(np.float32),
            "spacing_mm": spacing_mm,
        }
        masks = Output(shape=(contract.planes, *volume.grid.shape_zyx), dtype=np.uint8)
        mean_probability = Output(shape=(len(contract.labels),), dtype=np.float32)
        seen = Output(shape=(SIZE_BYTES,), dtype=np.uint8)
        outputs = {"masks": masks, "mean_probability": mean_probability, SEEN: seen}
        exchange = self._over_shared_memory if self._shared_memory else self._over_grpc
        expected = ChecksumBeside(sent["image"], spacing_mm)
        answer = exchange(contract.name, str(contract.version), sent, outputs)
        self._expect_seen(contract, expected.value(), answer[SEEN])
        planes, mean = answer["masks"], answer["mean_probability"]
        return Prediction(
            planes=planes.astype(np.uint8, copy=False), mean_probability=mean.astype(np.float32)
        )

    def _exchange_known(
        self, exchange: _Exchange, sent: Tensors, outputs: Mapping[str, Output], transport: str
    ) -> None:
        try:
            changed = difference(sent, exchange(KNOWN_TENSOR, "", sent, outputs))
        except ModelFailed as error:
            raise ModelFailed(self._corrupts(transport, str(error))) from error
        if changed is not None:
            raise ModelFailed(self._corrupts(transport, changed))

    def _corrupts(self, transport: str, finding: str) -> str:
        return (
            f"the Triton server at {self.url} does not return a known tensor unchanged by {transport} ({finding}). "
            "The likely cause is numpy 2 or newer in the server's Python environment: install numpy<2 there"
        )

    def _expect_same_version(self, contract: ModelContract) -> None:
        with self._translated(contract.name):
            answer = self._server.get_model_config(
                contract.name, str(contract.version), client_timeout=_QUICK_S
            )
        parameters = answer.config.parameters
        for key, expected in identity(contract).items():
            found = parameters[key].string_value if key in parameters else "nothing"
            if found != expected:
                raise ModelFailed(
                    f"model {contract.name} at {self.url}: {key} is {found!r} in the server's config.pbtxt, but "
                    f"{expected!r} in the contract here: node and server use different model repositories"
                )

    def _expect_seen(
        self, contract: ModelContract, expected: NDArray[np.uint8], seen: NDArray[np.generic]
    ) -> None:
        if not np.array_equal(seen, expected):
            raise ModelFailed(
                f"model {contract.name} at {self.url} contoured a volume other than the one that was sent (its checksum is "
                f"{seen.tobytes().hex() or 'missing'}, expected {expected.tobytes().hex()}): the answer is discarded. "
                "Something wrote to the volume in transfer"
            )

    def _over_grpc(self, model: str, version: str, sent: Tensors, outputs: Mapping[str, Output]) -> Tensors:
        inputs = [triton_input(name, tensor) for name, tensor in sent.items()]
        for given, tensor in zip(inputs, sent.values(), strict=True):
            given.set_data_from_numpy(tensor)
        wanted = [triton.InferRequestedOutput(name) for name in outputs]
        answer = self._infer(model, version, inputs, wanted)
        raw = dict(zip((o.name for o in answer.outputs), answer.raw_output_contents, strict=False))
        found = {o.name: o for o in answer.outputs}
        return {
            name: decoded(raw.get(name, b""), found.get(name), output.dtype, f"{model}, output {name}")
            for name, output in outputs.items()
        }

    def _over_shared_memory(
        self, model: str, version: str, sent: Tensors, outputs: Mapping[str, Output]
    ) -> Tensors:
        sizes = {f"in {name}": tensor.nbytes for name, tensor in sent.items()}
        sizes |= {f"out {name}": output.size_bytes for name, output in outputs.items()}
        places, size_bytes = offsets(sizes)
        with self._region(model, size_bytes) as region:
            inputs = []
            for name, tensor in sent.items():
                place = places[f"in {name}"]
                region.view(place, tensor.shape, tensor.dtype)[...] = tensor
                inputs.append(triton_input(name, tensor))
                inputs[-1].set_shared_memory(region.name, tensor.nbytes, place)
            wanted = []
            for name, output in outputs.items():
                wanted.append(triton.InferRequestedOutput(name))
                wanted[-1].set_shared_memory(region.name, output.size_bytes, places[f"out {name}"])
            answer = self._infer(model, version, inputs, wanted)
            found = {o.name: o for o in answer.outputs}
            return {
                name: decoded(
                    region.view(places[f"out {name}"], (output.size_bytes,), np.uint8).tobytes(),
                    found.get(name),
                    output.dtype,
                    f"{model}, output {name}",
                )
                for name, output in outputs.items()
            }

    @contextmanager
    def _region(self, model: str, size_bytes: int) -> Iterator[SharedRegion]:
        try:
            region = SharedRegion(size_bytes)
        except OSError as error:
            raise ModelUnavailable(
                f"no {size_bytes} bytes of shared memory for a request to {model}: {error.strerror}. "
                "Give /dev/shm more room, or set triton.shared_memory to false"
            ) from error
        with region:
            with self._translated(model):
                self._server.register_system_shared_memory(
                    region.name, region.key, size_bytes, client_timeout=_QUICK_S
                )
            try:
                yield region
            finally:
                self._unregister(region.name)

    def _unregister(self, name: str) -> None:
        # A server that is gone has no registration; one that is still busy keeps its mapping until the next check().
        with suppress(InferenceServerException):
            self._server.unregister_system_shared_memory(name, client_timeout=_QUICK_S)

    def _forget_leftovers(self) -> None:
        with self._translated(KNOWN_TENSOR):
            known = self._server.get_system_shared_memory_status(client_timeout=_QUICK_S).regions
        for name in {*remove_leftovers(), *filter(is_gone, known)}:
            self._unregister(name)

    def _infer(
        self,
        model: str,
        version: str,
        inputs: list[triton.InferInput],
        outputs: list[triton.InferRequestedOutput],
    ) -> service_pb2.ModelInferResponse:
        with self._translated(model, inside=True):
            result = self._server.infer(
                model, inputs, version, outputs=outputs, client_timeout=self._timeout_s
            )
        answer = result.get_response()
        if version not in {"", answer.model_version}:
            raise ModelFailed(f"model {model}: asked for version {version}, {answer.model_version} answered")
        return answer

    @contextmanager
    def _translated(self, model: str, *, inside: bool = False) -> Iterator[None]:
        try:
            yield
        except InferenceServerException as error:
            words = error.message() or "no message"
            status = (error.status() or "").removeprefix("StatusCode.")
            where = f"model {model} on the Triton server at {self.url}: {status.lower() or 'client error'}: {words}"
            is_dead = any(known in words for known in _DEAD_PROCESS)
            if is_dead:
                self.models.reset(model)
            if inside and (is_dead or (status in _LOST and _NOT_REACHED not in words)):
                raise AnswerLost(where) from error
            if status in _LATER or any(known in words for known in _LATER_WORDS):
                raise ModelUnavailable(where) from error
            raise ModelFailed(where) from error

"""MONAI bundles, TorchScript and ONNX files.

Voxel for voxel what MONAI answers, and refusals of whatever is no data.
"""

import hashlib
import io
import json
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from inference.contract import ModelContract
from inference.errors import ImportRefused
from inference.importing.converter import convert
from inference.importing.draft import ImportDraft, ImportRequest
from inference.importing.monai_bundle import read_monai_bundle
from inference.importing.onnx import read_onnx
from inference.importing.sources import opened
from inference.importing.torchscript import read_torchscript
from inference.server.predictor import StructurePlanes
from inference.server.runtimes.catalogue import load_predictor

HERE = Path(__file__).parent / "bundles"
TOY = Path(__file__).parents[4] / "shared" / "data" / "toy-models" / "monai-bundle"
HALFWAY = {("dynunet_sigmoid", 1): (98, 266)}
"""Voxels that differ where the nearest of two is asked for exactly halfway (2 mm on 1.5 mm).

MONAI's choice is its rounding.
"""
SPEC = """
modality = "MR"
channels = 3
axes = "RAS"
spacing_mm = [1.5, 1.5, 1.5]
[[steps]]
kind = "normalise"
nonzero = true
[window]
roi = [32, 32, 32]
overlap = [0.625, 0.625, 0.625]
blend = "gaussian"
padding = "replicate"
[answer]
activation = "softmax"
largest_of = [1, 2]
[labels]
Parotid_R = 1
Parotid_L = 2
"""


def contract_of(draft: ImportDraft, folder: Path) -> ModelContract:
    return ModelContract.model_validate(
        {
            "format": 1,
            "name": "imported",
            "version": 1,
            "description": "for tests",
            "body_region": "head_neck",
            "inputs": [{"modality": draft.modality, "intensities": draft.intensities}],
            "structures": [{"code": label.name} for label in draft.labels],
            "licence": "none",
            "citation": "none",
            "provenance": {"data": "none", "split": "none", "validation": "none"},
            "checksums": {
                name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in draft.files
            },
            "runtime": {**draft.runtime, "structures": [label.selects for label in draft.labels]},
        }
    )


def answer(draft: ImportDraft, folder: Path, number: int) -> StructurePlanes:
    contract = contract_of(draft, folder)
    with np.load(HERE / f"image{number}.npz") as content:
        image, spacing = content["image"], content["spacing_mm"]
    if not contract.in_hounsfield_units:
        image = image.astype(np.float32)
    with torch.inference_mode():
        predictor = load_predictor(contract, folder, torch.device("cpu"))
        return predictor.predict(image, (float(spacing[0]), float(spacing[1]), float(spacing[2])))


def differing(draft: ImportDraft, found: StructurePlanes, name: str, number: int) -> tuple[int, ...]:
    with np.load(HERE / name / f"predicted{number}.npz") as content:
        labels = content["labels"].transpose(0, 3, 2, 1)
    exclusive = draft.runtime["discrete"] == "argmax"
    counts = []
    for bit, label in enumerate(draft.labels):
        (value,) = label.selects["values"]  # type: ignore[index, call-overload]
        theirs = labels[0] == value if exclusive else labels[value] != 0
        assert theirs.any()
        counts.append(int(((found.planes[0] & (1 << bit) != 0) != theirs).sum()))
    return tuple(counts)


def read(read_format: Callable[..., ImportDraft], source: Path, out: Path, **options: Any) -> ImportDraft:
    out.mkdir(exist_ok=True)
    with opened(source, out.parent) as files:
        return read_format(files, options, out)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("name", ["segresnet_mr", "dynunet_sigmoid", "basic_unet", "toy"])
def test_a_bundle_answers_as_monai_does(tmp_path: Path, name: str, number: int) -> None:
    if name == "toy" and not TOY.is_dir():
        pytest.skip("the bundle beside the project (../shared/data) is absent")
    draft = read(read_monai_bundle, TOY if name == "toy" else HERE / name, tmp_path / "out")
    found = answer(draft, tmp_path / "out", number)
    assert differing(draft, found, name, number) == HALFWAY.get((name, number), (0, 0))
    assert (found.mean_probability > 0.3).all()
    assert (found.mean_probability < 1).all()


def test_what_a_bundle_says_of_its_images_stands_in_the_draft(tmp_path: Path) -> None:
    draft = read(read_monai_bundle, HERE / "segresnet_mr", tmp_path / "out")
    assert (draft.modality, draft.intensities) == ("MR", "normalised")
    assert [label.name for label in draft.labels] == ["Parotid_R", "Parotid_L"]
    assert "largest difference on noise is 0" in draft.facts[1]
    draft = read(read_monai_bundle, HERE / "basic_unet", tmp_path / "other")
    assert (draft.modality, draft.intensities) == ("CT", "HU")


def altered(tmp_path: Path, change: Callable[[dict[str, Any]], None], name: str = "segresnet_mr") -> Path:
    folder = tmp_path / "bundle"
    shutil.copytree(HERE / name, folder)
    file = folder / "configs" / "inference.json"
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document))
    return folder


def target(value: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        document["network_def"]["_target_"] = value

    return change


def step(**fields: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        document["preprocessing"]["transforms"].append({"keys": "image", **fields})

    return change


def entry(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        document[key] = value

    return change


TRACE = "$__import__('pathlib').Path('{trace}').touch()"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (target("os.system"), "_target_ 'os.system' is not one of MONAI's classes"),
        (target("monai.networks.nets.os.system"), "is not one of MONAI's classes"),
        (target("monai.networks.nets.UNet.__init__.__globals__"), "is not one of MONAI's classes"),
        (target("scripts.net.MyNet"), "is not one of MONAI's classes"),
        (target("SwinUNETR"), "the architecture SwinUNETR is not known here"),
        (target(["UNet"]), "expected a component with _target_"),
        (entry("network_def", TRACE), "is the expression"),
        (entry("network_def", "@network_def"), "references form a circle"),
        (entry("network_def", "@nowhere"), "refers to 'nowhere', which is not there"),
        (entry("inferer", TRACE), "is the expression"),
        (entry("inferer", {"_target_": "os.system", "command": "id"}), "is not one of MONAI's classes"),
        (
            entry("inferer", {"_target_": "SliceInferer", "roi_size": [8, 8]}),
            "the inferer SliceInferer is not known",
        ),
        (
            entry("preprocessing", [{"_target_": "Compose", "transforms": TRACE}]),
            "the transform Compose is not known",
        ),
        (step(_target_="Lambdad", func=TRACE), "the transform Lambdad is not known here"),
        (step(_target_="builtins.eval", source="1"), "is not one of MONAI's classes"),
        (step(_target_="NormalizeIntensityd", subtrahend=TRACE), "subtrahend is the expression"),
        (step(_target_="Spacingd", pixdim=[1, 1, 1], mode="bilinear", _disabled_=TRACE), "_disabled_ is"),
        (step(_target_="Spacingd", pixdim=[1, 1, 1], mode=3), "mode 3 is not supported"),
        (step(_target_="Resized", spatial_size=[8, 8, 8]), "the transform Resized is not known here"),
        (step(_target_="ScaleIntensityd", unheard_of=1), "arguments that are not known here: unheard_of"),
    ],
)
def test_no_configuration_runs_code_and_what_is_unknown_is_refused_by_name(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], words: str
) -> None:
    trace = tmp_path / "it-ran"
    folder = altered(tmp_path, change)
    file = folder / "configs" / "inference.json"
    file.write_text(file.read_text().replace("{trace}", str(trace)))
    with pytest.raises(ImportRefused) as found:
        read(read_monai_bundle, folder, tmp_path / "out")
    assert words in str(found.value)
    assert not trace.exists()


class Evil:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


def test_weights_that_would_run_code_are_refused_in_the_child(tmp_path: Path) -> None:
    trace, folder = tmp_path / "it-ran", tmp_path / "bundle"
    shutil.copytree(HERE / "basic_unet", folder)
    (folder / "models" / "model.ts").unlink(missing_ok=True)
    torch.save({"model": Evil(trace)}, folder / "models" / "model.pt")
    (tmp_path / "out").mkdir()
    with pytest.raises(ImportRefused, match="would run code when loaded"):
        convert(ImportRequest(importer="monai-bundle", source=folder, out=tmp_path / "out"))
    assert not trace.exists()


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    folder = altered(tmp_path, lambda document: document["network_def"].update(init_filters=16))
    with pytest.raises(ImportRefused, match="has the shape"):
        read(read_monai_bundle, folder, tmp_path / "out")


def test_a_script_that_is_another_model_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(HERE / "segresnet_mr", folder)
    state = torch.load(folder / "models" / "model.pt", weights_only=True)
    torch.save({key: value * 1.5 for key, value in state.items()}, folder / "models" / "model.pt")
    with pytest.raises(ImportRefused, match="they are not one model"):
        read(read_monai_bundle, folder, tmp_path / "out")


def test_a_bundle_whose_weights_lie_elsewhere_names_the_list(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(HERE / "basic_unet", folder)
    (folder / "models" / "model.pt").unlink()
    (folder / "large_files.yml").write_text("large_files: []\n")
    with pytest.raises(ImportRefused, match=r"large_files\.yml lists files to fetch"):
        read(read_monai_bundle, folder, tmp_path / "out")


@pytest.fixture
def spec(tmp_path: Path) -> str:
    file = tmp_path / "spec.toml"
    file.write_text(SPEC)
    return str(file)


def test_a_script_with_a_specification_answers_as_its_bundle(tmp_path: Path, spec: str) -> None:
    draft = read(read_torchscript, HERE / "segresnet_mr" / "models" / "model.ts", tmp_path / "out", spec=spec)
    assert differing(draft, answer(draft, tmp_path / "out", 0), "segresnet_mr", 0) == (0, 0)


def test_an_onnx_file_with_a_specification_answers_as_its_bundle(tmp_path: Path, spec: str) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    draft = read(read_onnx, HERE / "segresnet_mr.onnx", tmp_path / "out", spec=spec)
    assert max(differing(draft, answer(draft, tmp_path / "out", 0), "segresnet_mr", 0)) <= 2


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("channels = 3", "channels = 4", "answered"),
        ("Parotid_L = 2", "Parotid_L = 3", "a structure is made of"),
        ('axes = "RAS"', 'axes = "RLS"', "do not name each axis"),
        ('kind = "normalise"', 'kind = "lambda"', "steps"),
        ("channels = 3", "channels = 3\nunknown = 1", "unknown"),
        ("[labels]", "[labels", "cannot be read as TOML"),
    ],
)
def test_a_specification_that_does_not_fit_is_refused(
    tmp_path: Path, spec: str, old: str, new: str, words: str
) -> None:
    Path(spec).write_text(SPEC.replace(old, new))
    with pytest.raises(ImportRefused, match=words):
        read(read_torchscript, HERE / "segresnet_mr" / "models" / "model.ts", tmp_path / "out", spec=spec)


def rewritten(tmp_path: Path, name: str, content: bytes) -> Path:
    """The script's archive with one entry more, or another one."""
    file = tmp_path / "altered.ts"
    with (
        zipfile.ZipFile(HERE / "segresnet_mr" / "models" / "model.ts") as old,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for item in old.infolist():
            if item.filename != name:
                new.writestr(item.filename, old.read(item))
        new.writestr(name, content)
    return file


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("model/data.pkl", pickle.dumps(Evil(Path("it-ran"))), "which is not a tensor"),
        ("../elsewhere", b"x", "lead out of the archive"),
        ("model/code/x.py", b"ops.evil.run(x)", "calls operators of 'evil'"),
        ("model/code/y.py", b"0" * (8 * 2**20), "torch does not write such a file"),
    ],
)
def test_an_archive_of_a_script_is_looked_through(
    tmp_path: Path, spec: str, name: str, content: bytes, words: str
) -> None:
    file = rewritten(tmp_path, name, content)
    with pytest.raises(ImportRefused, match=words):
        read(read_torchscript, file, tmp_path / "out", spec=spec)
    assert not Path("it-ran").exists()


def onnx_with_its_weights_elsewhere() -> bytes:
    """y = x + w, with w in weights.data, as torch's exporter writes by default; the protobuf by its field numbers."""

    def field(number: int, value: int | str | bytes) -> bytes:
        if isinstance(value, int):
            return bytes([number << 3, value])
        content = value.encode() if isinstance(value, str) else value
        return bytes([number << 3 | 2, len(content)]) + content

    shape = field(2, field(1, field(1, 4)))
    value = [field(1, name) + field(2, field(1, field(1, 1) + shape)) for name in "xy"]
    node = field(1, "x") + field(1, "w") + field(2, "y") + field(4, "Add")
    where = field(13, field(1, "location") + field(2, "weights.data"))
    weights = field(1, 4) + field(2, 1) + field(8, "w") + where + field(14, 1)
    graph = field(1, node) + field(2, "g") + field(5, weights) + field(11, value[0]) + field(12, value[1])
    return field(1, 8) + field(8, field(2, 17)) + field(7, graph)


def test_a_pickled_module_and_no_onnx_are_refused(tmp_path: Path, spec: str) -> None:
    checkpoint, text = tmp_path / "module.pt", tmp_path / "text.onnx"
    torch.save({"a": torch.zeros(1)}, checkpoint)
    text.write_bytes(b"no protobuf")
    with pytest.raises(ImportRefused, match="a checkpoint, not TorchScript"):
        read(read_torchscript, checkpoint, tmp_path / "out", spec=spec)
    plain = io.BytesIO()
    pickle.dump({}, plain)
    (tmp_path / "old.pt").write_bytes(plain.getvalue())
    with pytest.raises(ImportRefused, match="not a TorchScript archive"):
        read(read_torchscript, tmp_path / "old.pt", tmp_path / "out", spec=spec)
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    with pytest.raises(ImportRefused, match="onnxruntime cannot run it"):
        read(read_onnx, text, tmp_path / "out", spec=spec)
    text.write_bytes(onnx_with_its_weights_elsewhere())
    with pytest.raises(ImportRefused, match="external_data=False"):
        read(read_onnx, text, tmp_path / "out", spec=spec)

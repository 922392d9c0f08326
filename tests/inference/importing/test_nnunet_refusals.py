"""Folders of nnU-Net that must not be imported, each refused by what is wrong with it; and none of them runs code."""

import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from inference.errors import ImportRefused
from inference.importing.converter import convert
from inference.importing.draft import ImportRequest
from inference.importing.isolation import Limits
from inference.importing.nnunet import read_nnunet
from inference.importing.sources import opened
from tests.support.nnunet_models import make_trained

MARK = "contour-node-was-here"


def read(folder: Path, tmp_path: Path, **options: Any) -> Any:
    out = tmp_path / "out"
    out.mkdir(exist_ok=True)
    with opened(folder, tmp_path) as source:
        return read_nnunet(source, options, out)


def refusal(folder: Path, tmp_path: Path, **options: Any) -> str:
    with pytest.raises(ImportRefused) as reason:
        read(folder, tmp_path, **options)
    assert not (tmp_path / MARK).exists(), "code of the folder ran"
    return str(reason.value)


def edited(folder: Path, name: str, change: Callable[[dict[str, Any]], Any]) -> None:
    document = json.loads((folder / name).read_text())
    change(document)
    (folder / name).write_text(json.dumps(document))


def chosen(plans: dict[str, Any]) -> dict[str, Any]:
    return plans["configurations"]["3d_fullres"]


class Harmful:
    """What a hostile checkpoint holds: loading it by pickle makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("inside", ["whole", "a weight", "a value"])
def test_a_checkpoint_with_code_is_refused_and_nothing_runs(
    tmp_path: Path, inside: str, legacy: bool
) -> None:
    folder = make_trained(tmp_path)
    file = folder / "fold_0" / "checkpoint_final.pth"
    content = torch.load(file, weights_only=False)
    harmful = Harmful(tmp_path / MARK)
    if inside == "a weight":
        content["network_weights"]["encoder.x"] = harmful
    content = (
        harmful
        if inside == "whole"
        else {**content, "_best_ema": harmful}
        if inside == "a value"
        else content
    )
    torch.save(content, file, _use_new_zipfile_serialization=not legacy)
    assert "would run code when loaded" in refusal(folder, tmp_path)


def test_a_bare_pickle_is_refused_and_nothing_runs(tmp_path: Path) -> None:
    folder = make_trained(tmp_path)
    (folder / "fold_0" / "checkpoint_final.pth").write_bytes(pickle.dumps(Harmful(tmp_path / MARK)))
    assert "checkpoint_final.pth" in refusal(folder, tmp_path)


@pytest.mark.parametrize("name", ["numpy._core.multiarray", "numpy.core.multiarray"])
def test_the_scalar_of_either_numpy_is_read(tmp_path: Path, name: str) -> None:
    folder = make_trained(tmp_path)
    file = folder / "fold_0" / "checkpoint_final.pth"
    with zipfile.ZipFile(file) as archive:
        entries = {entry: archive.read(entry) for entry in archive.namelist()}
    with zipfile.ZipFile(file, "w") as archive:
        for entry, content in entries.items():
            archive.writestr(entry, content.replace(b"cnumpy._core.multiarray\n", f"c{name}\n".encode()))
    assert len(read(folder, tmp_path).labels) == 3


def test_a_checkpoint_that_claims_a_hundred_gigabytes_is_refused(tmp_path: Path) -> None:
    folder = make_trained(tmp_path)
    file = folder / "fold_0" / "checkpoint_final.pth"
    content = bytearray(file.read_bytes())
    entry = content.rindex(b"PK\x01\x02")
    content[entry + 20 : entry + 28] = struct.pack("<II", 2**32 - 2, 2**32 - 2)
    file.write_bytes(content)
    assert "checkpoint_final.pth" in refusal(folder, tmp_path)


def test_a_tensor_that_claims_a_hundred_gigabytes_is_refused(tmp_path: Path) -> None:
    folder = make_trained(tmp_path)
    file = folder / "fold_0" / "checkpoint_final.pth"
    content = torch.load(file, weights_only=False)
    key = next(iter(content["network_weights"]))
    content["network_weights"][key] = torch.zeros(1).expand(25 * 2**30)
    torch.save(content, file)
    assert "has the shape" in refusal(folder, tmp_path)


PLANS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "a class by path": (
        lambda p: chosen(p)["architecture"].update(network_class_name="os.system"),
        "names the network 'os.system', which needs code",
    ),
    "a network of its name elsewhere": (
        lambda p: chosen(p)["architecture"].update(network_class_name="evil.PlainConvUNet"),
        "evil.PlainConvUNet",
    ),
    "another architecture": (
        lambda p: chosen(p)["architecture"].update(network_class_name="nets.MedNeXt"),
        "export the network as ONNX or TorchScript",
    ),
    "a layer by path": (
        lambda p: chosen(p)["architecture"]["arch_kwargs"].update(conv_op="subprocess.Popen"),
        "conv_op is 'subprocess.Popen'",
    ),
    "a layer's name elsewhere": (
        lambda p: chosen(p)["architecture"]["arch_kwargs"].update(nonlin="evil.LeakyReLU"),
        "nonlin is 'evil.LeakyReLU'",
    ),
    "a block by path": (
        lambda p: chosen(p)["architecture"]["arch_kwargs"].update(block="x.BottleneckD"),
        "not known here: block",
    ),
    "a resampling function": (
        lambda p: chosen(p).update(resampling_fn_data="resample_torch_fornnunet"),
        "resampling_fn_data is 'resample_torch_fornnunet'",
    ),
    "a preprocessor": (lambda p: chosen(p).update(preprocessor_name="Mine"), "preprocessor_name is 'Mine'"),
    "a label manager": (lambda p: p.update(label_manager="Mine"), "label_manager is 'Mine'"),
    "a normalisation": (
        lambda p: chosen(p).update(normalization_schemes=["RGBTo01Normalization"]),
        "normalization_schemes is 'RGBTo01Normalization'",
    ),
    "a cascade": (lambda p: chosen(p).update(previous_stage="3d_lowres"), "cascades are not supported"),
    "a circle": (lambda p: chosen(p).update(inherits_from="3d_fullres"), "a circle"),
    "no such configuration": (
        lambda p: p.update(configurations={"2d": {}}),
        "has no configuration '3d_fullres'; there are: 2d",
    ),
    "a network of another size": (
        lambda p: chosen(p)["architecture"]["arch_kwargs"].update(features_per_stage=[4, 8, 16]),
        "has the shape",
    ),
    "a network of more stages": (
        lambda p: chosen(p)["architecture"]["arch_kwargs"].update(n_conv_per_stage=[3, 1, 2]),
        "lacks 4 tensors",
    ),
    "a network of fewer convolutions": (
        lambda p: chosen(p)["architecture"]["arch_kwargs"].update(n_conv_per_stage=[1, 1, 2]),
        "which the network of plans.json has not",
    ),
    "a gigantic network": (
        lambda p: chosen(p)["architecture"]["arch_kwargs"].update(features_per_stage=[4, 8, 10**6]),
        "more than any planned network has",
    ),
    "a field that is missing": (lambda p: chosen(p).pop("patch_size"), "lacks 'patch_size'"),
    "a patch of no size": (lambda p: chosen(p).update(patch_size=[0, 16, 16]), "patch"),
}


@pytest.mark.parametrize("change", PLANS)
def test_plans_that_need_more_than_data_are_refused_by_name(tmp_path: Path, change: str) -> None:
    folder = make_trained(tmp_path)
    edit, reason = PLANS[change]
    edited(folder, "plans.json", edit)
    assert reason in refusal(folder, tmp_path)


DATASETS: dict[str, tuple[dict[str, Any], str]] = {
    "two channels": ({"channel_names": {"0": "CT", "1": "PET"}}, "2 channels (CT, PET)"),
    "MR without a word": ({"channel_names": {"0": "T1"}}, "say --modality"),
    "no background": ({"labels": {"a": 1}}, "background as 0"),
    "holes in its values": ({"labels": {"background": 0, "a": 1, "b": 3}}, "not 0, 1, 2"),
    "ignore in the middle": ({"labels": {"background": 0, "ignore": 1, "b": 2}}, "not 0, 1, 2"),
    "regions without order": ({"labels": {"background": 0, "a": [1, 2], "b": 2}}, "regions_class_order"),
    "nothing": ({"labels": {"background": 0}}, "name no structure"),
}


@pytest.mark.parametrize("change", DATASETS)
def test_datasets_that_cannot_be_served_are_refused(tmp_path: Path, change: str) -> None:
    folder = make_trained(tmp_path)
    edit, reason = DATASETS[change]
    edited(folder, "dataset.json", lambda dataset: dataset.update(edit))
    assert reason in refusal(folder, tmp_path)


def test_folders_and_folds_that_are_not_there_are_refused_with_those_that_are(tmp_path: Path) -> None:
    folder = make_trained(tmp_path, folds=(0, 2))
    assert "there are: 0, 2" in refusal(folder, tmp_path, folds=["1"])
    make_trained(tmp_path, dimensions=2)
    assert "choose one with --configuration" in refusal(tmp_path / "Dataset902_Tiny", tmp_path)
    assert "no trained configuration 3d_lowres" in refusal(tmp_path, tmp_path, configuration="3d_lowres")


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    folder = make_trained(tmp_path)
    file = folder / "fold_0" / "checkpoint_final.pth"
    content = torch.load(file, weights_only=False)
    content["network_weights"]["decoder.seg_layers.1.bias"][0] = np.nan
    torch.save(content, file)
    assert "not numbers" in refusal(folder, tmp_path)


def test_a_name_that_stands_for_two_tensors_is_refused(tmp_path: Path) -> None:
    folder = make_trained(tmp_path)
    file = folder / "fold_0" / "checkpoint_final.pth"
    content = torch.load(file, weights_only=False)
    name = "encoder.stages.0.0.convs.0.all_modules.0.weight"
    content["network_weights"][name] = content["network_weights"][name] + 1
    torch.save(content, file)
    assert "should be one tensor and are two" in refusal(folder, tmp_path)


def test_the_child_process_refuses_too_and_takes_no_more_than_its_limits(tmp_path: Path) -> None:
    folder = make_trained(tmp_path)
    (folder / "fold_0" / "checkpoint_final.pth").write_bytes(pickle.dumps(Harmful(tmp_path / MARK)))
    (tmp_path / "out").mkdir()
    request = ImportRequest(importer="nnunet", source=folder, out=tmp_path / "out")
    with pytest.raises(ImportRefused, match=r"checkpoint_final\.pth"):
        convert(request)
    assert not (tmp_path / MARK).exists()
    with pytest.raises(ImportRefused, match=r"did not finish|takes more than|could not"):
        convert(request, Limits(memory_gib=0.2))
    with pytest.raises(ImportRefused, match=r"no importer 'pickle'"):
        convert(request.model_copy(update={"importer": "pickle"}))

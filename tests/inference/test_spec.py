"""spec.json: what is read, and each thing that is refused with the file's name."""

import json
from pathlib import Path
from typing import Any

import pytest

from inference.errors import SpecRefused
from inference.spec import load_spec, load_specs
from tests.support.models import model_spec, spec_document
from tests.support.triton import HN_OAR, REPOSITORY


def published(root: Path, document: Any, name: str = "moody") -> Path:
    folder = root / name
    (folder / "1").mkdir(parents=True)
    (folder / "spec.json").write_text(document if isinstance(document, str) else json.dumps(document))
    return folder


def test_the_published_models_are_read_and_the_check_is_none_of_them() -> None:
    specs = load_specs(REPOSITORY / "model_repository")
    assert "known_tensor" not in specs
    assert specs["hn_oar"].labels == (
        "Brainstem", "SpinalCord", "Parotid_R", "Parotid_L", "Larynx", "Mandible", "Esophagus",
    )  # fmt: skip


def test_config_and_spec_name_the_same_structures() -> None:
    labels = ",".join(load_spec(HN_OAR).labels)
    assert f'string_value: "{labels}"' in (HN_OAR / "config.pbtxt").read_text()


def test_bits_fill_planes_of_eight() -> None:
    assert [model_spec(codes=tuple("ABCDEFGHIJKLMNOPQ"[:n])).planes for n in (1, 8, 9, 16, 17)] == [
        1,
        1,
        2,
        2,
        3,
    ]


def change(**changes: Any) -> dict[str, Any]:
    return spec_document(**changes)


def pipeline(**changes: Any) -> dict[str, Any]:
    return change(pipeline={**spec_document()["pipeline"], **changes})


def voxels(**changes: Any) -> dict[str, Any]:
    return pipeline(voxels={**spec_document()["pipeline"]["voxels"], **changes})


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("{", "Expecting"),
        (change(colour="red"), "colour"),
        (change(name="Hn Oar"), "name"),
        (change(name="other"), "the folder is 'moody'"),
        (change(version=2), "version 2 has no folder"),
        (change(version=0), "version"),
        (change(structures=[]), "structures"),
        (change(structures=[{"code": "A"}, {"code": "A"}]), "appears twice"),
        (change(structures=[{"code": "A", "threshold": 1.0}]), "threshold"),
        (change(structures=[{"code": "a b"}]), "code"),
        (pipeline(mirrored_pairs=[["A", "Z"]]), "mirrored_pairs"),
        (pipeline(mirrored_pairs=[["A", "B"], ["B", "C"]]), "mirrored_pairs"),
        (pipeline(windows_hu=[[240, -160]]), "from low to high"),
        (pipeline(windows_hu=[]), "windows_hu"),
        (pipeline(tile_zyx=[16, 16]), "tile_zyx"),
        (pipeline(overlap=0.95), "overlap"),
        (voxels(slice_mm=5.0), "slice_mm 5.0 lies outside"),
        (voxels(in_plane_mm=1.0), "in_plane_mm 1.0 lies outside"),
        (change(provenance={**spec_document()["provenance"], "weights_sha256": "abc"}), "weights_sha256"),
        (
            change(provenance={**spec_document()["provenance"], "validation_dice": {"A": 1.2}}),
            "validation_dice",
        ),
    ],
)
def test_what_contradicts_itself_is_refused_with_the_file(tmp_path: Path, document: Any, reason: str) -> None:
    folder = published(tmp_path, document)
    with pytest.raises(SpecRefused, match=reason) as refusal:
        load_spec(folder)
    assert str(folder / "spec.json") in str(refusal.value)


def test_a_missing_file_or_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecRefused, match="No such file"):
        load_spec(tmp_path)
    with pytest.raises(SpecRefused, match="no such folder"):
        load_specs(tmp_path / "absent")
    assert load_specs(tmp_path) == {}

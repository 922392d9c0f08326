import json
from pathlib import Path

import numpy as np
import pytest

from imaging.rtstruct.writing import write_structure_set
from service.cli.main import main
from tests.imaging.ct_slices import part10, series, slice_dataset
from tests.imaging.structure_sets import SHAPE, ct_series, request

GOOD = write_structure_set(request(ct_series()))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rs.dcm"
    path.write_bytes(GOOD)
    return path


@pytest.fixture
def ct(tmp_path: Path) -> Path:
    """The CT of the file, in a folder that also holds another series, a sub-folder and what is no image."""
    folder = tmp_path / "ct"
    (folder / "deeper").mkdir(parents=True)
    for k, z in enumerate(("-7.5", "-5.0000", "-2.5", "0")):
        dataset = slice_dataset(np.zeros(SHAPE[1:], np.int16), ("-10.25", "20.5", z), number=k + 1)
        (folder / "deeper" / f"{k}.dcm").write_bytes(part10(dataset))
    (folder / "notes.txt").write_text("no image")
    (folder / "rs.dcm").write_bytes(GOOD)
    return folder


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["validate", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize("profile", ["standard", "eclipse", "raystation", "monaco", "pinnacle"])
def test_a_clean_file(file: Path, ct: Path, profile: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = said(capsys, str(file), "--profile", profile, "--ct", str(ct))
    assert (code, err) == (0, "")
    assert out == f"{file}: 0 error(s), 0 warning(s), profile {profile}\n"


def test_errors(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_bytes(GOOD + b"\0" * 8)
    code, out, _ = said(capsys, str(file))
    assert code == 1
    assert out.splitlines() == [
        f"error: ApprovalStatus (300E,0002): bytes behind the last element: expected the end, found 8 bytes from byte"
        f" {len(GOOD)} that are no whole element. Cut them off; if the file was cut off instead, send it again.",
        f"{file}: 1 error(s), 0 warning(s), profile standard",
    ]


def test_warnings_alone_are_clean(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_bytes(GOOD.replace(b"ORGAN ", b"ORGANS"))
    code, out, _ = said(capsys, str(file), "--profile", "eclipse")
    assert code == 0
    assert out.startswith("warning: RTROIObservationsSequence[1].RTROIInterpretedType (3006,00A4): ")
    assert out.endswith("0 error(s), 1 warning(s), profile eclipse\n")


def test_json(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_bytes(GOOD.replace(b"ORGAN ", b"ORGANS"))
    code, out, _ = said(capsys, str(file), "--json")
    report = json.loads(out)
    assert code == 0
    assert (report["profile"], report["errors"], report["warnings"]) == ("standard", 0, 1)
    (finding,) = report["findings"]
    assert (finding["severity"], finding["code"], finding["count"]) == ("warning", "type-unknown", 2)
    assert finding["message"].startswith("not a defined term (2 times, here the first): expected")


def test_the_images_are_another_patients(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    other.mkdir()

    def another(dataset: object) -> None:
        dataset.PatientID, dataset.SeriesInstanceUID = "P2", "1.2.3.77"  # type: ignore[attr-defined]

    for source in series(spoil=dict.fromkeys(range(3), another)):
        (other / source.name).write_bytes(source.data)
    code, out, _ = said(capsys, str(file), "--ct", str(other), "--json")
    assert code == 1
    codes = [finding["code"] for finding in json.loads(out)["findings"]]
    assert codes[:2] == ["patient", "series"]
    assert "P2" not in out


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"# Readme\n" * 30, "the bytes are no DICOM dataset"), (None, "No such file or directory")],
)
def test_no_structure_set(
    tmp_path: Path, content: bytes | None, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "file"
    if content:
        path.write_bytes(content)
    code, out, err = said(capsys, str(path))
    assert (code, out) == (2, "")
    assert words in err


def test_another_kind_of_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "ct.dcm"
    path.write_bytes(series()[0].data)
    code, _, err = said(capsys, str(path))
    assert code == 2
    assert "another kind of object: expected RT Structure Set Storage" in err


def test_a_folder_without_the_images(
    file: Path, ct: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = said(capsys, str(file), "--ct", str(tmp_path / "nowhere"))
    assert (code, "is not a folder" in err) == (2, True)
    (tmp_path / "empty").mkdir()
    code, _, err = said(capsys, str(file), "--ct", str(tmp_path / "empty"))
    assert (code, "has 0 CT series" in err) == (2, True)
    (ct / "deeper" / "1.dcm").unlink()
    code, _, err = said(capsys, str(file), "--ct", str(ct))
    assert (code, "1 slice missing" in err) == (1, True)  # the set names it


def test_a_wrong_call(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["validate", str(file), "--profile", "unheard_of"])
    assert left.value.code == 2
    assert "invalid choice: 'unheard_of'" in capsys.readouterr().err


def test_a_damaged_file_beside_the_ct_does_not_matter(
    file: Path, ct: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = (ct / "deeper" / "0.dcm").read_bytes()
    nested = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 3000
    place = image.index(b"\x08\x00\x16\x00UI")
    (ct / "deep.dcm").write_bytes(image[:place] + nested + image[place:])
    (ct / "cut.dcm").write_bytes(image[:place])
    (ct / "noise.dcm").write_bytes(image[:132] + b"\xff" * 100)
    assert said(capsys, str(file), "--ct", str(ct))[0] == 0


@pytest.mark.parametrize(
    ("zs", "why"), [(("-7.5", "-5.0000", "-2.5", "4"), "apart"), (("-5.0000",), "1 slice(s)")]
)
def test_images_without_a_grid_are_compared_all_the_same(
    file: Path, tmp_path: Path, zs: tuple[str, ...], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "uneven"
    folder.mkdir()
    numbers = {"-7.5": 1, "-5.0000": 2, "-2.5": 3, "4": 4}
    for z in zs:
        dataset = slice_dataset(np.zeros(SHAPE[1:], np.int16), ("-10.25", "20.5", z), number=numbers[z])
        (folder / f"{z}.dcm").write_bytes(part10(dataset))
    code, out, err = said(capsys, str(file), "--ct", str(folder), "--profile", "eclipse", "--json")
    report = json.loads(out)
    assert why in err
    assert "Volumes are not compared" in err
    assert why in report["ct_without_grid"]
    if len(zs) == 4:  # the set is drawn on slices 1 and 2, which lie where they did
        assert (code, report["findings"]) == (0, [])
    else:
        assert code == 1
        assert {"images-foreign", "image-foreign"} <= {found["code"] for found in report["findings"]}


def test_contours_off_the_planes_of_uneven_images_are_found(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "uneven"
    folder.mkdir()
    for number, z in enumerate(("-7.5", "-4.5", "-2.5", "4"), 1):
        dataset = slice_dataset(np.zeros(SHAPE[1:], np.int16), ("-10.25", "20.5", z), number=number)
        (folder / f"{z}.dcm").write_bytes(part10(dataset))
    code, out, _ = said(capsys, str(file), "--ct", str(folder), "--json")
    assert code == 1
    assert [(one["code"], one["severity"]) for one in json.loads(out)["findings"]] == [
        ("plane-off", "error")
    ] * 2

import json
from pathlib import Path

import numpy as np
import pytest

from evaluation.definitions import definitions
from service.cli.evaluate_cohort import report_facts
from service.cli.main import main
from tests.evaluation.sets import disc, write_ct, write_nifti, write_rtstruct
from tests.imaging.structure_sets import SHAPE


def said(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main(["evaluate", *map(str, words)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_json_has_every_metric_under_its_full_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = write_rtstruct(write_ct(tmp_path / "r") / "rs.dcm")
    found = write_rtstruct(tmp_path / "f.dcm", {"Larynx": disc(2)})
    code, out, err = said(capsys, found, reference, "--json", "--tolerance-mm", 1.5, "--slices")
    assert (code, err) == (0, "")
    result = json.loads(out)
    larynx = result["structures"]["Larynx"]
    assert list(larynx["metrics"]) == list(result["definitions"]) == [d.name for d in definitions((1.5,))]
    assert larynx["metrics"]["dice"] == pytest.approx(2 * 16 / (36 + 16))
    assert larynx["state"] == "compared"
    assert [row["slice"] for row in larynx["slices"]] == [1, 2]
    assert result["unmatched_in_reference"] == ["Parotid_L"]


def test_a_table_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = write_nifti(tmp_path / "a" / "Larynx.nii.gz", disc().astype(np.uint8))
    two = write_nifti(tmp_path / "b" / "Kehlkopf.nii.gz", np.zeros_like(disc(), np.uint8))
    code, out, _ = said(capsys, two, one)
    assert code == 0
    assert "missing" in out
    assert "0.000" not in out, "a missing structure has no Dice"


def test_the_report_names_the_words_that_were_run_not_those_of_the_program_around() -> None:
    facts = dict(report_facts(("evaluate", "cohort", "a folder")))
    assert facts["command"] == "contour-node evaluate cohort 'a folder'"


def test_what_cannot_be_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = write_nifti(tmp_path / "a" / "Larynx.nii.gz", disc().astype(np.uint8))
    two = write_nifti(tmp_path / "b" / "Spleen.nii.gz", disc().astype(np.uint8))
    code, _, err = said(capsys, one, two)
    assert (code, err) == (1, "contour-node evaluate: the sets have no structure in common\n")
    assert said(capsys, one, two, "--same", "Larynx=Spleen")[0] == 0
    code, _, told = said(capsys, one, two, "--same", "Larynx=")
    assert (code, "--same Larynx=: expected NAME=NAME IN REFERENCE" in told) == (1, True)
    code, _, err = said(capsys, one, tmp_path / "absent")
    assert (code, err) == (1, f"contour-node evaluate: {tmp_path / 'absent'}: no such file or folder\n")
    with pytest.raises(SystemExit) as end:
        main(["evaluate", str(one), str(two), "--tolerance-mm", "-1"])
    assert end.value.code == 2


def test_doses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A dose that rises by 0.375 Gy a column to the left, and a larynx whose left half is missing."""
    one = write_nifti(tmp_path / "a" / "Larynx.nii.gz", disc().astype(np.uint8))
    half = disc()
    half[:, :, :7] = False
    two = write_nifti(tmp_path / "b" / "Larynx.nii.gz", half.astype(np.uint8))
    gy = np.broadcast_to(20 + 0.375 * np.arange(SHAPE[2]), SHAPE)
    dose = write_nifti(tmp_path / "dose.nii.gz", gy.astype(np.float32))
    code, out, _ = said(capsys, two, one, "--dose", dose, "--dose-at-gy", 22, "--json")
    larynx = json.loads(out)["structures"]["Larynx"]
    assert code == 0
    # columns 4 to 9 against 7 to 9: their middles lie at 6.5 and 8
    assert larynx["reference_dose"]["mean_gy"] == pytest.approx(20 + 0.375 * 6.5, rel=1e-3)
    assert larynx["dose_differences"]["mean_dose_difference_gy"] == pytest.approx(0.375 * 1.5, rel=1e-2)
    assert larynx["dose"]["v22_gy_percent"] == pytest.approx(100.0)
    assert larynx["dose"]["not_defined"] == {
        "d1_cm3_gy": "smaller than 1 cm3",
        "d2_cm3_gy": "smaller than 2 cm3",
    }
    code, out, _ = said(capsys, two, one, "--dose", dose)
    assert "smaller than 1 cm3" in out
    code, _, err = said(capsys, two, one, "--dose", one.parent)
    assert (code, err) == (1, f"contour-node evaluate: {one.parent}: 0 RT Dose files; expected one\n")

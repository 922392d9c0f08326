import csv
import json
from pathlib import Path

import numpy as np
import pytest

from evaluation.cohort import CohortResult, Options, evaluate_cohort
from evaluation.pair import PairState
from evaluation.patients import cohort_of
from evaluation.report.study import Extras, worst_rows
from evaluation.report.writing import Job, write_pages, write_values
from evaluation.studies import STUDIES
from tests.evaluation.sets import disc, write_ct, write_nifti, write_rtstruct
from tests.imaging.structure_sets import SHAPE, ring

OPTIONS = Options(reference="clinic", tolerances_mm=(1.0,), readers=("node", "reader"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three patients: one whole, one whose node misses the larynx, one whose node's file is damaged.

    One without node.
    """
    root = tmp_path_factory.mktemp("cohort")
    for name in ("p1", "p2", "p3", "p4"):
        write_ct(root / name / "ct")
        write_rtstruct(root / name / "clinic.dcm")
        write_rtstruct(root / name / "reader.dcm", {"Larynx": disc(2), "Parotid_L": ring()})
    write_rtstruct(root / "p1" / "node.dcm", {"Larynx": disc(2), "Parotid_L": ring(), "Brainstem": disc(1)})
    write_rtstruct(root / "p2" / "node.dcm", {"Larynx": np.zeros(SHAPE, bool), "Parotid_L": ring()})
    (root / "p3" / "node.dcm").write_bytes(b"no dicom")
    (root / "p4" / "reader.dcm").unlink()
    gy = np.broadcast_to(20 + 0.375 * np.arange(SHAPE[2]), SHAPE).astype(np.float32)
    write_nifti(root / "p1" / "dose.nii.gz", gy)
    return root


@pytest.fixture(scope="module")
def cohort(folder: Path) -> CohortResult:
    return evaluate_cohort(cohort_of(folder, "clinic"), OPTIONS)


def test_every_instance_has_a_row_and_every_failure_words(cohort: CohortResult) -> None:
    states = {(r.patient, r.set_label, r.structure): r.state for r in cohort.rows}
    assert states["p1", "node", "Larynx"] is PairState.COMPARED
    assert states["p2", "node", "Larynx"] is PairState.MISSING
    assert ("p3", "reader", "Larynx") not in states
    failed = {p.name: p.failure for p in cohort.patients if p.failure}
    assert list(failed) == ["p3"]
    assert "node.dcm: the file cannot be read as DICOM" in failed["p3"]
    assert cohort.incomplete == ("p4",)
    remarks = next(p.remarks for p in cohort.patients if p.name == "p1")
    assert "only in node: Brainstem" in remarks


def test_doses_where_there_is_one(cohort: CohortResult) -> None:
    by_patient = {r.patient: r for r in cohort.rows if r.set_label == "node" and r.structure == "Larynx"}
    one = by_patient["p1"]
    assert one.values["mean_dose_difference_gy"] == pytest.approx(0.0, abs=0.01)
    assert len(one.curve) == len(one.reference_curve) > 100
    assert "mean_dose_difference_gy" not in by_patient["p2"].values


def test_readers(cohort: CohortResult) -> None:
    rows = {(r.structure, r.reader, r.other): r for p in cohort.patients if p.name == "p1" for r in p.readers}
    assert rows["Larynx", "node", "reader"].values["dice"] == 1.0
    assert ("Larynx", "node", "STAPLE") in rows
    missed = next(p for p in cohort.patients if p.name == "p2")
    assert "Larynx: node drew nothing; no consensus is made" in missed.remarks


def test_the_worst_are_those_that_are_missing_then_the_lowest(cohort: CohortResult) -> None:
    first, second = worst_rows(cohort, 2)
    assert first.state is PairState.MISSING
    assert second.values["dice"] == pytest.approx(2 * 16 / (36 + 16))


def test_values_and_pages(folder: Path, cohort: CohortResult, tmp_path: Path) -> None:
    job = Job(folder=tmp_path, study=STUDIES["all"], facts=[("made", "today")], extras=Extras())
    written = write_values(cohort, tmp_path)
    written += write_pages(cohort, cohort_of(folder, "clinic"), job, processes=1)
    assert {str(p.relative_to(tmp_path)) for p in written} == {
        "values.csv", "cohort.json", "study.html", "study.pdf",
        *(f"patients/{name}.{kind}" for name in ("p1", "p2", "p3") for kind in ("html", "pdf")),
    }  # fmt: skip
    with (tmp_path / "values.csv").open(newline="") as file:
        table = {(r["patient"], r["set"], r["structure"]): r for r in csv.DictReader(file)}
    assert float(table["p1", "node", "Larynx"]["dice"]) == pytest.approx(2 * 16 / 52)
    assert table["p2", "node", "Larynx"]["dice"] == ""
    assert table["p2", "node", "Larynx"]["state"] == "missing"
    values = json.loads((tmp_path / "cohort.json").read_text())
    assert values["patients"][2]["not_evaluated"]
    study = (tmp_path / "study.html").read_text()
    assert "not evaluated: p3" in study
    assert "n = 2: too few" in study
    for page in (study, (tmp_path / "patients" / "p1.html").read_text()):
        assert "http" not in page.replace("http://www.w3.org", "")
        assert 'src="data:image/png;base64,' in page
    assert (tmp_path / "study.pdf").read_bytes().startswith(b"%PDF")

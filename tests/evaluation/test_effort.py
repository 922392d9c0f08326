from pathlib import Path

import numpy as np
import pytest

from evaluation.effort import EffortRecord, Revision, fit, read_records, revision_of, time_saved
from evaluation.errors import EvaluationRefused


def record(patient: int, minutes: float, manual: float | None = None) -> EffortRecord:
    return EffortRecord(
        patient=str(patient), set_label="node", structure="S", edit_minutes=minutes, manual_minutes=manual
    )


@pytest.mark.parametrize(
    ("minutes", "revision"),
    [
        (0, Revision.NONE),
        (0.2, Revision.MINOR),
        (0.99, Revision.MINOR),
        (1.0, Revision.MODERATE),
        (3.0, Revision.MODERATE),
        (3.01, Revision.MAJOR),
    ],
)
def test_classes(minutes: float, revision: Revision) -> None:
    assert revision_of(minutes) is revision


@pytest.mark.parametrize("minutes", [-0.1, float("nan")])
def test_no_time_of_a_correction(minutes: float) -> None:
    with pytest.raises(ValueError, match="a correction takes 0 minutes or more"):
        revision_of(minutes)


def test_an_estimate_and_its_error_on_patients_left_out() -> None:
    """Half a minute to begin and a minute for 50 cm, timed exactly: the error is 0."""
    lengths = [0.0, 100.0, 300.0, 900.0] * 5
    records = [record(k // 4, 0.0 if not mm else 0.5 + mm / 500) for k, mm in enumerate(lengths)]
    estimate = fit(records, lengths)
    assert estimate.start_minutes == pytest.approx(0.5)
    assert estimate.minutes_per_cm == pytest.approx(0.02)
    assert estimate.mean_absolute_error_minutes == pytest.approx(0.0, abs=1e-9)
    assert estimate.same_class_share == 1.0
    assert (estimate.records, estimate.patients) == (20, 5)
    assert estimate.revision(0.0) is Revision.NONE
    assert estimate.revision(100.0) is Revision.MINOR
    assert estimate.revision(2000.0) is Revision.MAJOR


def test_the_error_is_that_of_unseen_patients() -> None:
    """Patients who differ: each is estimated from the others, so the error is larger than the line's own."""
    rng = np.random.default_rng(0)
    lengths = rng.uniform(50, 500, 24)
    pace = np.repeat([0.5, 1.0, 2.0, 4.0], 6)
    minutes = lengths / 100 * pace
    estimate = fit([record(k // 6, m) for k, m in enumerate(minutes)], lengths.tolist())
    on_itself = np.abs([estimate.minutes(mm) - m for mm, m in zip(lengths, minutes, strict=True)]).mean()
    assert estimate.mean_absolute_error_minutes > on_itself
    assert estimate.same_class_share < 1.0


def test_too_few_records_give_no_estimate() -> None:
    with pytest.raises(
        EvaluationRefused, match="9 timed corrections of 3 patients; an estimate needs 10 of 3"
    ):
        fit([record(k % 3, 1.0) for k in range(9)], [10.0] * 9)
    with pytest.raises(EvaluationRefused, match="10 timed corrections of 2 patients"):
        fit([record(k % 2, 1.0) for k in range(10)], [10.0] * 10)
    assert fit([record(k % 3, 1.0) for k in range(10)], [10.0] * 10).minutes(10.0) == pytest.approx(1.0)


def test_time_saved() -> None:
    saved = time_saved([record(1, 1, 10), record(1, 3, 10), record(2, 2, 8), record(2, 5)])
    assert saved is not None
    assert saved.mean_share == pytest.approx((1 - 4 / 20 + 1 - 2 / 8) / 2)
    assert (saved.patients, saved.manual_minutes, saved.edit_minutes) == (2, 14.0, 3.0)
    assert time_saved([record(1, 1), record(2, 1, 0.0)]) is None
    one = time_saved([record(1, 3, 12)])
    assert one is not None
    assert (one.mean_share, one.low, one.high) == (0.75, None, None)


def test_records_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "effort.csv"
    path.write_text(
        "patient,set,structure,edit_minutes,manual_minutes\np1,node,Larynx,0.5,4\np1,node,Brainstem,0,\n"
    )
    first, second = read_records(path)
    assert (first.structure, first.edit_minutes, first.manual_minutes) == ("Larynx", 0.5, 4.0)
    assert second.manual_minutes is None
    path.write_text("patient,set,structure\n")
    with pytest.raises(EvaluationRefused, match="column edit_minutes is missing"):
        read_records(path)
    for text in ("soon", "-1", "inf", "nan", ""):
        path.write_text(f"patient,set,structure,edit_minutes\np1,node,Larynx,{text}\n")
        with pytest.raises(EvaluationRefused, match=f"line 2: '{text}' is not a number of minutes"):
            read_records(path)

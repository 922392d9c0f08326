"""Rules name the kind of series.

Which images open jobs, which models fit, and what MR and cone-beam CT may not have.
"""

from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset

from imaging.modality import Modality
from imaging.volumes.volume import Masks, Volume
from phantoms.geometry import uneven_grid
from service.components import model_library
from service.config import SeriesFacts, Settings, SettingsRefused
from service.errors import Refused
from service.rules import opening_sop_classes, require_fit
from service.store import InstanceRecorder, JobState
from service.template import load_template
from service.template.apply import apply
from service.work.plausibility import modality_notes
from tests.support.models import model_contract
from tests.support.small_node import RULE, SmallNode, settings

MR_SOP_CLASS, CT_SOP_CLASS = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.2"
MR_RULE = {"name": "mr", "modality": "MR", "model": "phantom_mr_bladder", "destinations": ["tps"]}
EXTERNAL = 'template = 1\nname = "Outline"\n[[structure]]\nname = "BODY"\nexternal = true\n'


def as_mr(image: Dataset) -> None:
    image.SOPClassUID, image.Modality = MR_SOP_CLASS, "MR"
    image.SeriesInstanceUID += ".9"
    image.SOPInstanceUID += ".9"


def test_mr_opens_a_job_only_where_a_rule_is_for_it() -> None:
    assert MR_SOP_CLASS not in opening_sop_classes(settings())
    assert opening_sop_classes(settings()) < opening_sop_classes(settings(rules=[RULE, MR_RULE]))


def test_without_a_rule_for_mr_its_images_are_kept_and_no_job_is_there(small_node: SmallNode) -> None:
    small_node.receive(change=as_mr)
    assert small_node.book.list_jobs() == []


def test_rules_of_another_kind_do_not_match() -> None:
    chosen = settings(rules=[RULE, MR_RULE, {**RULE, "name": "cbct", "modality": "CBCT"}])
    for modality, name in ((Modality.CT, "head-neck"), (Modality.MR, "mr"), (Modality.CBCT, "cbct")):
        rule = chosen.rule_for(SeriesFacts(called_aet="A", calling_aet="B", modality=modality))
        assert rule is not None
        assert rule.name == name


def test_an_mr_series_that_no_rule_wants_does_not_hold_up_the_ct_that_waits_for_mr(
    small_node: SmallNode,
) -> None:
    waiting = {**RULE, "wait_for": [{"modality": "MR"}]}
    pelvis = {**MR_RULE, "body_part": "^PELVIS$"}
    rules = settings(rules=[waiting, pelvis])
    with InstanceRecorder(small_node.database, opening=opening_sop_classes(rules)) as recorder:
        small_node.recorder = recorder
        looks = small_node.assembler(rules)
        small_node.receive()
        small_node.receive(change=as_mr)
        looks.poll_once()
        small_node.clock.tick(20)
        looks.poll_once()
        looks.poll_once()
    assert {job.state for job in small_node.book.list_jobs()} == {
        JobState.QUEUED,
        JobState.NOTHING_TO_CONTOUR,
    }


def fit(tree: Settings) -> None:
    require_fit(tree.rules, model_library(tree))


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({**RULE, "modality": "MR"}, "modality = 'MR', but the model hn_oar takes CT"),
        ({**MR_RULE, "modality": "CT"}, "modality = 'CT', but the model phantom_mr_bladder takes MR"),
        ({**MR_RULE, "modality": "CBCT"}, "modality = 'CBCT', but the model phantom_mr_bladder takes MR"),
    ],
)
def test_a_rule_gives_a_model_what_it_takes(rule: dict[str, object], words: str) -> None:
    with pytest.raises(SettingsRefused, match=words):
        fit(settings(rules=[rule]))


def test_cone_beam_ct_may_go_to_a_model_for_ct_and_the_set_says_so() -> None:
    fit(settings(rules=[{**RULE, "modality": "CBCT"}]))
    contract = model_contract()
    assert modality_notes(Modality.CT, contract) == []
    (note,) = modality_notes(Modality.CBCT, contract)
    assert note.startswith("CONE-BEAM CT: the model moody is for CT")
    with pytest.raises(Refused, match="the series is MR, and the model moody takes CT"):
        modality_notes(Modality.MR, contract)
    both = model_contract(
        inputs=[{"modality": "CT", "intensities": "HU"}, {"modality": "CBCT", "intensities": "HU"}]
    )
    assert modality_notes(Modality.CBCT, both) == []


def test_an_outline_of_the_patient_is_refused_on_mr(tmp_path: Path) -> None:
    file = tmp_path / "external.toml"
    file.write_text(EXTERNAL)
    chosen = settings(rules=[{**MR_RULE, "template": str(file)}])
    with pytest.raises(SettingsRefused, match="Hounsfield units, which MR does not have"):
        fit(chosen)
    grid = uneven_grid()
    signal = Volume(array_zyx=np.zeros(grid.shape_zyx, np.float32), grid=grid)
    with pytest.raises(Refused, match="Hounsfield units, which MR does not have"):
        apply(load_template(file, ()), Masks(grid=grid, by_code={}), signal)

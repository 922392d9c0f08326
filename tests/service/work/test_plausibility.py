"""What is implausible does not leave as a contour: the rule's choices, seen in the store and in what goes out."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, dcmread

from imaging.volumes.volume import Volume
from inference.client import Prediction
from inference.contract import ModelContract
from inference.contract.plausibility import Plausibility
from service.config import Settings
from service.store import EventKind, JobState
from service.template import Template, default_template, load_template
from service.work import Worker
from tests.inference.limits import limits_document, structure_document
from tests.support.bodies import upright_volume, whole_body
from tests.support.models import OneModel
from tests.support.small_node import RULE, SmallNode, model, only, settings

WIDE = {
    "volume_cc": [1, 500], "height_mm": [5, 200], "width_mm": [5, 200], "depth_mm": [5, 200], "across": [-1, 1],
    "deep": [0, 1], "median_hu": [-50, 90], "body_cm2": [50, 900],
}  # fmt: skip
BRAINSTEM, LARYNX = (
    (slice(38, 44), slice(43, 49), slice(66, 74)),
    (slice(8, 14), slice(44, 50), slice(64, 70)),
)
LEFT_OUT = "LEFT OUT, IMPLAUSIBLE: volume 23 cc, expected 30 to 60 cc"


def limited(brainstem: dict[str, Any], larynx: dict[str, Any] | None = None) -> ModelContract:
    structures = [
        structure_document("Brainstem", **WIDE | brainstem),
        structure_document("Larynx", **WIDE | (larynx or {})),
    ]
    limits = Plausibility.model_validate(limits_document() | {"structures": structures, "pairs": []})
    return model().model_copy(update={"plausibility": limits})


TOO_SMALL = {"volume_cc": [30, 60]}  # the brainstem's box has 6 x 6 x 8 voxels of 0.08 cc: 23 cc


class Server:
    """Answers with the two boxes, and counts the questions."""

    def __init__(self, columns_cut: int) -> None:
        self.asked = 0
        self._cut = columns_cut

    def check(self) -> None:
        """Tensors reach it unchanged."""

    def infer(self, contract: ModelContract, volume: Volume) -> Prediction:
        self.asked += 1
        planes = np.zeros((contract.planes, *volume.grid.shape_zyx), np.uint8)
        for code, (z, y, x) in (("Brainstem", BRAINSTEM), ("Larynx", LARYNX)):
            planes[0, z, y, x.start - self._cut : x.stop - self._cut] |= 1 << contract.labels.index(code)
        return Prediction(planes=planes, mean_probability=np.full(len(contract.labels), 0.9, np.float32))


def contoured(
    node: SmallNode,
    contract: ModelContract,
    *,
    start_mm: float = 1440,
    columns_cut: int = 0,
    template: Template | None = None,
    **rule: Any,
) -> Server:
    """Send 260 mm of the patient from a height upwards, without so many columns of the right, and work on the job."""
    volume = whole_body(start_mm, start_mm + 260)
    node.receive(volume=upright_volume(volume.array_zyx[:, :, columns_cut:]))
    node.clock.tick(20)
    node.assembler().poll_once()
    server = Server(columns_cut)
    tree: Settings = settings(rules=[{**RULE, **rule}])
    worker = Worker(
        name="w1",
        queue=node.queue,
        content=node.content,
        server=server,
        models=OneModel(contract),
        rules=only(tree, {"head-neck": template or default_template()}),
        settings=tree,
    )
    assert worker.work_one()
    return server


def sent(node: SmallNode) -> dict[str, Dataset]:
    found = {}
    while (claim := node.outbox.claim_delivery("s1", lease_s=60)) is not None:
        dataset = dcmread(BytesIO(node.objects.get(claim.result.path)))
        found[str(dataset.Modality)] = dataset
        assert node.outbox.sent(claim)
    return found


def names(structure_set: Dataset) -> list[str]:
    return [str(roi.ROIName) for roi in structure_set.StructureSetROISequence]


def history(node: SmallNode) -> list[str]:
    return [e.message for e in node.book.events(node.job().id) if e.kind is EventKind.NOTE]


def test_plausible_structures_leave_unchanged_and_nothing_is_said(small_node: SmallNode) -> None:
    contoured(small_node, limited({}))
    structure_set = sent(small_node)["RTSTRUCT"]
    assert names(structure_set) == ["Brainstem", "Larynx"]
    assert "IMPLAUSIBLE" not in str(structure_set) + " ".join(history(small_node))


def test_a_model_without_limits_says_that_nothing_was_checked(small_node: SmallNode) -> None:
    contoured(small_node, model())
    assert names(sent(small_node)["RTSTRUCT"]) == ["Brainstem", "Larynx"]
    assert any("states no limits" in note for note in history(small_node))


def test_an_implausible_structure_is_left_out_and_everything_says_so(small_node: SmallNode) -> None:
    contoured(small_node, limited(TOO_SMALL), companions=["segmentation", "report", "capture"])
    objects = sent(small_node)
    assert names(objects["RTSTRUCT"]) == ["Larynx"]
    assert f"Brainstem: {LEFT_OUT}" in objects["RTSTRUCT"].StructureSetDescription
    assert [s.SegmentLabel for s in objects["SEG"].SegmentSequence] == ["Larynx"]
    assert f"Brainstem: {LEFT_OUT}" in objects["SR"].to_json()
    assert f"Brainstem: {LEFT_OUT}" in history(small_node)
    assert "Brainstem: empty" not in history(small_node)


def test_a_structure_that_is_flagged_leaves_with_its_flag_in_every_object(small_node: SmallNode) -> None:
    flag = "IMPLAUSIBLE: volume 23 cc, expected 30 to 60 cc"
    contoured(
        small_node,
        limited(TOO_SMALL),
        implausible="flag",
        companions=["segmentation", "report", "capture"],
    )
    objects = sent(small_node)
    brainstem, larynx = objects["RTSTRUCT"].StructureSetROISequence
    assert brainstem.ROIDescription.startswith(flag)
    assert "IMPLAUSIBLE" not in larynx.get("ROIDescription", "")
    assert f"Brainstem: {flag}" in objects["RTSTRUCT"].StructureSetDescription
    assert objects["SEG"].SegmentSequence[0].SegmentDescription.startswith(flag)
    assert f"Brainstem: {flag}" in objects["OT"].ImageComments
    assert flag in objects["SR"].to_json()
    assert f"Brainstem: {flag}" in history(small_node)


def test_a_rule_can_refuse_the_job_for_one_implausible_structure(small_node: SmallNode) -> None:
    contoured(small_node, limited(TOO_SMALL), implausible="refuse")
    job = small_node.job()
    assert job.state is JobState.REFUSED
    assert "Brainstem: volume 23 cc, expected 30 to 60 cc" in job.reason
    assert sent(small_node) == {}


def test_a_job_of_which_most_structures_are_implausible_is_refused_with_every_reason(
    small_node: SmallNode,
) -> None:
    contoured(small_node, limited(TOO_SMALL, {"median_hu": [100, 200]}))
    job = small_node.job()
    assert job.state is JobState.REFUSED
    assert "Brainstem: volume" in job.reason
    assert "Larynx: median 40 HU, expected 100 to 200 HU" in job.reason


def test_a_ct_of_another_region_is_refused_before_inference(small_node: SmallNode) -> None:
    server = contoured(small_node, limited({}), start_mm=500)
    job = small_node.job()
    assert (job.state, server.asked) == (JobState.REFUSED, 0)
    assert "legs" in job.reason
    assert "at least 50 mm of neck or head are needed" in job.reason


def test_a_rule_can_have_another_region_contoured_and_it_is_said_first(small_node: SmallNode) -> None:
    anywhere = {"regions": ["legs", "pelvis"], "inside": [0, 1], "median_hu": [-1000, 90]}
    server = contoured(small_node, limited(anywhere, anywhere), start_mm=500, other_region="flag")
    assert server.asked == 1
    description = sent(small_node)["RTSTRUCT"].StructureSetDescription
    assert "NOT THE MODEL'S REGION: the CT shows legs" in description
    assert history(small_node)[0].startswith("NOT THE MODEL'S REGION")


def template_of(tmp_path: Path, text: str) -> Template:
    file = tmp_path / "template.toml"
    file.write_text('template = 1\nname = "clinic"\n' + text)
    return load_template(file, model().labels)


DERIVED = """
[[structure]]
name = "Stem"
from = "Brainstem"
send = false
[[structure]]
name = "Stem_PRV"
from = "Stem"
type = "AVOIDANCE"
steps = [{ margin_mm = 5 }]
[[structure]]
name = "Larynx"
from = "Larynx"
"""


def test_what_is_made_from_a_flagged_structure_is_flagged(small_node: SmallNode, tmp_path: Path) -> None:
    contoured(small_node, limited(TOO_SMALL), template=template_of(tmp_path, DERIVED), implausible="flag")
    prv, larynx = sent(small_node)["RTSTRUCT"].StructureSetROISequence
    assert prv.ROIName == "Stem_PRV"
    assert prv.ROIDescription.startswith("made from Brainstem, IMPLAUSIBLE: volume 23 cc")
    assert "IMPLAUSIBLE" not in larynx.get("ROIDescription", "")


def test_nothing_is_made_from_a_structure_that_is_left_out(small_node: SmallNode, tmp_path: Path) -> None:
    contoured(small_node, limited(TOO_SMALL), template=template_of(tmp_path, DERIVED))
    assert names(sent(small_node)["RTSTRUCT"]) == ["Larynx"]
    assert "Stem_PRV: not made, because Stem is empty" in history(small_node)


def test_contact_with_the_side_of_the_field_is_said_and_leaves_the_structure_in(
    small_node: SmallNode,
) -> None:
    anywhere = {"across": [-9, 9], "regions": ["legs", "pelvis", "abdomen", "thorax", "neck", "head"]}
    contoured(small_node, limited(anywhere, anywhere), columns_cut=64, other_region="flag")
    note = "Larynx: contact with the right edge of the field; the scan may cut it"
    assert note in history(small_node)
    assert names(sent(small_node)["RTSTRUCT"]) == ["Brainstem", "Larynx"]

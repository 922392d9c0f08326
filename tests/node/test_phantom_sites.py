"""The published systems on phantoms of their sites, each by its own AE title.

CT in, structure set out, through the node.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO

import pytest
from pydicom import dcmread

from evaluation.overlap import dice
from imaging.ct.series import read_ct
from imaging.rtstruct.masks import masks_on_grid
from imaging.rtstruct.reading import read_structure_set
from imaging.structures import CATALOGUE
from imaging.volumes.grid import Grid
from inference.ports import free_port
from phantoms.dicom import CtExport, ct_files
from phantoms.dicom_modules import Identity
from phantoms.head_neck import head_neck_grid
from phantoms.regions import REGIONS
from phantoms.trunk import trunk_grid
from service.demo.peers import send_series
from service.store import JobState
from tests.support.node import Node, Tps, write_settings

pytestmark = [pytest.mark.network, pytest.mark.triton]
TRUNK = trunk_grid(spacing_zyx_mm=(5.0, 3.5, 3.5), shape_zyx=(48, 111, 142), bottom_mm=-110.0)
HEAD = head_neck_grid(spacing_zyx_mm=(5.0, 4.0, 4.0), shape_zyx=(54, 70, 80), top_mm=92.0)
BODY_PARTS = {"thorax": "CHEST", "head_neck_42": "HEADNECK"}


@dataclass(frozen=True, kw_only=True)
class Site:
    """A model, the AE title it answers to, a phantom that it was not trained on, and the least Dice of a structure."""

    model: str
    ae_title: str
    region: str
    least_dice: dict[str, float]
    grid: Grid = field(default=TRUNK, repr=False)


SITES = (
    Site(model="phantom_cervix_ctv", ae_title="CERVIX", region="pelvis_cervix", least_dice={"CTV": 0.5}),
    Site(model="phantom_lung_gtv", ae_title="LUNGGTV", region="thorax", least_dice={"GTV": 0.5}),
    Site(model="phantom_deeplab", ae_title="DEEPLAB", region="thorax", least_dice={"GTV": 0.5}),
    Site(
        model="phantom_rectum",
        ae_title="RECTUM",
        region="pelvis_male",
        least_dice={"CTV": 0.7, "Bladder": 0.6, "Femur_Head_L": 0.6, "Femur_Head_R": 0.6},
    ),
    Site(
        model="phantom_soars",
        ae_title="HEADNECK42",
        region="head_neck_42",
        least_dice={
            "Brainstem": 0.85,
            "Eye_L": 0.8,
            "Mandible_R": 0.85,
            "SpinalCord": 0.8,  # anchors
            "Parotid_L": 0.8,
            "Parotid_R": 0.8,
            "Esophagus": 0.7,
            "BrachialPlex_L": 0.7,  # mid-level
            "OpticChiasm": 0.5,
            "OpticNrv_L": 0.6,
            "Glnd_Lacrimal_R": 0.5,
            "Pineal": 0.5,  # small and hard
        },
        grid=HEAD,
    ),
)


@pytest.fixture(scope="module")
def sites_node(tmp_path_factory: pytest.TempPathFactory, shared_tps: Tps) -> Iterator[Node]:
    node = write_settings(tmp_path_factory.mktemp("sites"), tps_port=shared_tps.port, port=free_port())
    rules = "".join(
        f'[[rules]]\nname = "{site.model.replace("_", "-")}"\ncalled_aet = "{site.ae_title}"\nmodel = "{site.model}"\n'
        'destinations = ["tps"]\n'
        for site in SITES
    )
    text = node.settings_file.read_text()
    first = text.index("[[rules]]")  # the first rule that matches decides
    node.settings_file.write_text(text[:first] + rules + text[first:])
    node.start()
    yield node
    node.stop()


@pytest.mark.parametrize("site", SITES, ids=lambda site: site.model)
def test_a_phantom_sent_to_a_systems_ae_title_comes_back_contoured(
    sites_node: Node, tps: Tps, site: Site
) -> None:
    phantom = REGIONS[site.region](0, site.grid)
    body = BODY_PARTS.get(site.region, "PELVIS")
    identity = Identity(patient_id=f"SITE-{site.ae_title}", patient_name="PHANTOM^SITE", body_part=body)
    files = ct_files(phantom.volume, CtExport(identity=identity))
    send_series(files, sites_node.port, site.ae_title, lambda _number: None)

    job = sites_node.ended(str(dcmread(BytesIO(files[0].data), stop_before_pixels=True).SeriesInstanceUID))

    assert job.state is JobState.DONE, job
    assert job.model == site.model
    (structure_set,) = tps.received
    found = read_structure_set(structure_set)
    ours = masks_on_grid(found, read_ct(files))
    numbers = {roi.name: roi.number for roi in found.rois}
    shape = phantom.masks.grid.shape_zyx
    for code, least in site.least_dice.items():
        mask = ours.by_number[numbers[CATALOGUE[code].name]].full(shape)
        assert dice(mask, phantom.masks.by_code[code].full(shape)) >= least, code

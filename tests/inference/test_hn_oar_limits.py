"""The published model's limits: phantoms of other patients keep within them, what is wrong with them does not."""

from pathlib import Path

import pytest

from imaging.anatomy import body_profile, estimate_regions, placements
from imaging.volumes.volume import Mask
from inference.contract import load_contract
from inference.contract.plausibility import Plausibility
from inference.judgement import judge, region_finding
from phantoms.head_neck import head_neck_grid
from phantoms.phantom import Phantom
from phantoms.regions import REGIONS
from tests.support.bodies import part, whole_body

VERSION = Path(__file__).parents[2] / "model_repository" / "hn_oar" / "2"
GRID = head_neck_grid(spacing_zyx_mm=(3.0, 3.9, 3.9), shape_zyx=(100, 96, 120))
SEEDS = (0, 5, 6)


@pytest.fixture(scope="module")
def limits() -> Plausibility:
    found = load_contract(VERSION).plausibility
    assert found is not None
    return found


@pytest.fixture(scope="module", params=SEEDS)
def phantom(request: pytest.FixtureRequest) -> Phantom:
    return REGIONS["head_neck"](request.param, GRID)


def implausible(limits: Plausibility, phantom: Phantom, **changes: Mask) -> set[str]:
    profile = body_profile(phantom.volume)
    regions = estimate_regions(profile)
    assert region_finding(limits, regions) is None
    placed = placements({**phantom.masks.by_code, **changes}, phantom.volume, profile, regions)
    return {finding.structure for finding in judge(limits, placed) if finding.is_implausible}


def test_a_phantoms_own_structures_are_plausible(limits: Plausibility, phantom: Phantom) -> None:
    assert implausible(limits, phantom) == set()


def test_parotids_that_changed_sides_are_not(limits: Plausibility, phantom: Phantom) -> None:
    masks = phantom.masks.by_code
    swapped = {"Parotid_L": masks["Parotid_R"], "Parotid_R": masks["Parotid_L"]}
    assert implausible(limits, phantom, **swapped) == {"Parotid_L", "Parotid_R"}


def test_a_brainstem_that_is_the_larynx_is_not(limits: Plausibility, phantom: Phantom) -> None:
    assert implausible(limits, phantom, Brainstem=phantom.masks.by_code["Larynx"]) == {"Brainstem"}


@pytest.mark.parametrize("name", ["legs", "pelvis", "abdomen", "thorax"])
def test_other_parts_of_the_body_are_not_for_it(limits: Plausibility, name: str) -> None:
    said = region_finding(limits, estimate_regions(body_profile(part(name))))
    assert said is not None
    assert name in said


def test_a_whole_body_is(limits: Plausibility) -> None:
    assert region_finding(limits, estimate_regions(body_profile(whole_body()))) is None

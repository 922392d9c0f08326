import numpy as np
import pytest

from imaging.masks.margins import Margin, expand
from imaging.structures import CATALOGUE, Code, InterpretedType, Structure
from imaging.volumes.volume import Mask, Masks, Volume
from service.errors import Refused
from service.template import default_template
from service.template.apply import AppliedTemplate, apply
from service.template.load import parse_template
from tests.imaging.small_masks import block, grid, mask, voxels
from tests.support.models import HN_CODES

SHAPE = (9, 40, 50)
ON = grid(SHAPE)
CORD = block(range(2, 7), range(24, 27), range(24, 27))
JAW = block(range(2, 5), range(12, 16), range(18, 32))
LEFT, RIGHT = block([3], range(18, 21), range(33, 36)), block([3], range(18, 21), range(14, 17))


def case(**changed: Mask) -> tuple[Masks, Volume]:
    hu = np.full(SHAPE, -1000, np.int16)
    hu[:, 8:32, 8:42] = 30
    by_code = {code: Mask.empty() for code in HN_CODES}
    by_code |= {"SpinalCord": mask(SHAPE, *CORD), "Mandible": mask(SHAPE, *JAW)}
    by_code |= {"Parotid_L": mask(SHAPE, *LEFT), "Parotid_R": mask(SHAPE, *RIGHT)} | changed
    return Masks(grid=ON, by_code=by_code), Volume(array_zyx=hu, grid=ON)


def applied(text: str, **changed: Mask) -> AppliedTemplate:
    return apply(parse_template('template = 1\nname = "test"\n' + text, "it"), *case(**changed))


def test_without_a_template_the_catalogue_decides() -> None:
    result = apply(default_template(), *case())
    assert [(s.number, s.name) for s in result.structures] == [
        (2, "SpinalCord"), (3, "Parotid_R"), (4, "Parotid_L"), (6, "Bone_Mandible"),
    ]  # fmt: skip
    assert all(s.structure == CATALOGUE[s.structure.code] for s in result.structures)
    assert result.notes == ("Brainstem: empty", "Larynx: empty", "Esophagus: empty")
    assert [s.description for s in result.structures] == [""] * 4


def test_a_structure_that_its_model_defines_goes_out_as_defined() -> None:
    own = Structure(
        code="Flap",
        name="Flap_TG",
        colour_rgb=(9, 8, 7),
        interpreted_type=InterpretedType.AVOIDANCE,
        concept=Code(value="256683004", scheme="SCT", meaning="Flap"),
    )
    masks, volume = case(Flap=mask(SHAPE, *JAW))
    result = apply(default_template(), masks, volume, {"Flap": own})
    sent = next(s for s in result.structures if s.model_code == "Flap")
    assert (sent.name, sent.structure.code) == ("Flap_TG", "Flap_TG")
    assert sent.structure.colour_rgb == (9, 8, 7)
    assert sent.structure.interpreted_type is InterpretedType.AVOIDANCE
    assert sent.structure.concept == own.concept
    with pytest.raises(Refused, match="does not know 'Flap'"):
        apply(default_template(), masks, volume)


def test_a_local_name_keeps_the_tg263_name_in_the_description() -> None:
    result = applied(
        '[[structure]]\nname = "Unterkiefer"\nfrom = "Mandible"\nnumber = 7\ncolour = "#010203"\n'
        'description = "fertig"\ncode = { value = "1", scheme = "99X", meaning = "jaw" }\n'
    )
    (jaw,) = result.structures
    assert (jaw.name, jaw.number, jaw.description) == ("Unterkiefer", 7, "fertig; TG-263: Bone_Mandible")
    assert (jaw.structure.code, jaw.structure.name) == ("Mandible", "Bone_Mandible")
    assert jaw.structure.colour_rgb == (1, 2, 3)
    assert jaw.structure.concept is not None
    assert jaw.structure.concept.value == "1"
    assert voxels(jaw.mask) == JAW


def test_objects_beside_can_tell_structures_apart_that_are_one_of_the_models() -> None:
    result = applied(
        '[[structure]]\nname = "Rueckenmark"\nfrom = "SpinalCord"\n'
        '[[structure]]\nname = "Cord_too"\nfrom = "SpinalCord"\n'
        '[[structure]]\nname = "Mandible"\nfrom = "Mandible"\ntype = "CONTROL"\nsteps = [{ keep_largest = 1 }]\n'
        '[[structure]]\nname = "Kiefer"\nfrom = "Mandible"\ntype = "CONTROL"\n'
    )
    assert [(s.structure.code, s.structure.name, s.model_code) for s in result.structures] == [
        ("SpinalCord", "SpinalCord", "SpinalCord"),
        ("Cord_too", "Cord_too", "SpinalCord"),
        ("Mandible", "Mandible", ""),
        ("Kiefer", "Kiefer", ""),  # made from this file's Mandible, not from the model's
    ]
    assert result.structures[1].description == "TG-263: SpinalCord"


def test_a_margin_is_that_of_imaging_and_says_where_it_comes_from() -> None:
    result = applied(
        '[[structure]]\nname = "PRV"\nfrom = "SpinalCord"\ntype = "AVOIDANCE"\n'
        "steps = [{ margin_mm = { left = 4, superior = 3 } }]\n"
    )
    (prv,) = result.structures
    expected = expand(mask(SHAPE, *CORD), ON, Margin(left_mm=4, superior_mm=3))
    assert voxels(prv.mask) == voxels(expected)
    assert prv.provenance == prv.description == "SpinalCord, margin left 4, superior 3 mm"
    assert prv.structure.interpreted_type is InterpretedType.AVOIDANCE
    assert prv.structure.colour_rgb == CATALOGUE["SpinalCord"].colour_rgb
    assert prv.structure.concept is None, "a margin is not the organ"


def test_a_chain_runs_over_intermediates_that_are_not_sent() -> None:
    result = applied(
        '[[structure]]\nname = "Both"\nfrom = "Parotid_L"\nsteps = [{ add = ["Parotid_R", "SpinalCord"] }]\nsend = false\n'
        '[[structure]]\nname = "Rest"\nfrom = "Both"\ntype = "CONTROL"\n'
        'steps = [{ subtract = "Parotid_R" }, { keep_largest = 1 }, { intersect = "SpinalCord" }]\n'
    )
    (rest,) = result.structures
    assert voxels(rest.mask) == CORD
    assert rest.provenance == "Both, subtract Parotid_R, keep largest 1, intersect SpinalCord"


def test_the_outline_is_made_from_the_ct_and_crops() -> None:
    result = applied(
        '[[structure]]\nname = "BODY"\nexternal = true\n'
        '[[structure]]\nname = "PTV"\nfrom = "Mandible"\ntype = "PTV"\n'
        'steps = [{ margin_mm = 9 }, { inside = "BODY", distance_mm = 3 }]\n'
    )
    body, ptv = result.structures
    assert voxels(body.mask) == block(range(9), range(8, 32), range(8, 42))
    assert body.structure.interpreted_type is InterpretedType.EXTERNAL
    assert body.provenance == "outline of the patient above -350 HU"
    assert min(y for _, y, _ in voxels(ptv.mask)) == 11, "rows of 1 mm, the body begins at 8"
    assert result.notes == ("PTV: the margin ends at the edge of the scan",)


def test_every_step_can_be_carried_out() -> None:
    result = applied(
        '[[structure]]\nname = "A"\nfrom = "Mandible"\ntype = "CONTROL"\nsteps = [{ margin_mm = 2 }, { shrink_mm = 1 }, '
        '{ smooth_mm = 2 }, { fill_holes = "slices" }, { fill_holes = "volume" }, { remove_below_cc = 0.01 }, '
        "{ ring_mm = { inner = -1, outer = 2 } }]\n"
    )
    assert result.structures[0].provenance == (
        "Mandible, margin 2 mm, shrink 1 mm, smooth 2 mm, fill holes slices, fill holes volume, remove below 0.01 cc, "
        "ring -1 to 2 mm"
    )


def test_what_is_made_from_nothing_is_left_out_and_said() -> None:
    text = (
        '[[structure]]\nname = "PRV"\nfrom = "Larynx"\ntype = "AVOIDANCE"\nsteps = [{ margin_mm = 3 }]\n'
        '[[structure]]\nname = "PRV2"\nfrom = "PRV"\ntype = "AVOIDANCE"\nsteps = [{ margin_mm = 3 }]\n'
        '[[structure]]\nname = "Cord-Larynx"\nfrom = "SpinalCord"\ntype = "CONTROL"\nsteps = [{ subtract = "Larynx" }]\n'
    )
    result = applied(text)
    assert result.structures == ()
    assert result.notes == (
        "PRV: not made, because Larynx is empty",
        "PRV2: not made, because PRV is empty",
        "Cord-Larynx: not made, because Larynx is empty",
    )


def test_an_optional_part_may_be_missing_and_that_is_said() -> None:
    result = applied(
        '[[structure]]\nname = "Cord"\nfrom = "SpinalCord"\ntype = "CONTROL"\n'
        'steps = [{ subtract = "Larynx", distance_mm = 2, optional = true }]\n'
    )
    assert voxels(result.structures[0].mask) == CORD
    assert result.notes == ("Larynx is empty: 'subtract Larynx with 2 mm' was carried out without it",)


def test_an_empty_structure_is_sent_where_the_template_says_so() -> None:
    result = applied('[[structure]]\nname = "Larynx"\nfrom = "Larynx"\nwhen_empty = "send"\n')
    assert [(s.name, s.mask.voxels()) for s in result.structures] == [("Larynx", 0)]
    assert result.notes == ("Larynx: empty",)


def test_what_steps_leave_nothing_of_is_said() -> None:
    result = applied(
        '[[structure]]\nname = "A"\nfrom = "SpinalCord"\ntype = "CONTROL"\nsteps = [{ intersect = "Mandible" }]\n'
    )
    assert result.structures == ()
    assert result.notes == ("A: nothing is left after its steps",)


def test_unlisted_structures_follow_where_the_template_says_so() -> None:
    result = applied('unlisted = "send"\n[[structure]]\nname = "Rueckenmark"\nfrom = "SpinalCord"\n')
    assert [s.name for s in result.structures] == ["Rueckenmark", "Parotid_R", "Parotid_L", "Bone_Mandible"]


def test_a_ct_without_a_body_has_no_outline() -> None:
    masks, volume = case()
    empty = Volume(array_zyx=np.full_like(volume.array_zyx, -1000), grid=ON)
    template = parse_template(
        'template = 1\nname = "t"\n[[structure]]\nname = "BODY"\nexternal = true\n', "it"
    )
    result = apply(template, masks, empty)
    assert result.structures == ()
    assert result.notes == ("BODY: the CT shows no body",)


def test_a_model_that_gave_less_than_it_said_is_refused() -> None:
    masks, volume = case()
    template = parse_template(
        'template = 1\nname = "t"\n[[structure]]\nname = "Larynx"\nfrom = "Larynx"\n', "it"
    )
    with pytest.raises(Refused, match="needs 'Larynx' of the model"):
        apply(template, Masks(grid=ON, by_code={"SpinalCord": masks.by_code["SpinalCord"]}), volume)
    with pytest.raises(Refused, match="the catalogue does not know 'Q'"):
        apply(default_template(), Masks(grid=ON, by_code={"Q": Mask.empty()}), volume)


def test_masks_of_another_grid_are_refused() -> None:
    masks, volume = case()
    other = Masks(grid=grid(SHAPE, (3.0, 1.0, 1.0)), by_code=masks.by_code)
    with pytest.raises(ValueError, match="different grids"):
        apply(default_template(), other, volume)

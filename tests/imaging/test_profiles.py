import dataclasses
from pathlib import Path

import pytest

from imaging.contours.hole_encoding import HoleEncoding
from imaging.export.profiles import PROFILES, Boundary, Characters, ExportProfile, TransferSyntax

DOCS = Path(__file__).parents[2] / "docs" / "profiles.md"


def test_there_is_a_profile_for_each_kind_of_system() -> None:
    assert list(PROFILES) == ["standard", "eclipse", "raystation", "monaco", "pinnacle"]
    assert all(name == profile.name for name, profile in PROFILES.items())


@pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))
def test_every_default_keeps_masks_exact_and_contours_readable(profile: ExportProfile) -> None:
    assert profile.boundary is Boundary.EXACT
    assert profile.volume_tolerance == profile.smallest_island_mm2 == profile.smallest_hole_mm2 == 0
    assert profile.holes is HoleEncoding.KEYHOLE
    assert profile.transfer_syntax is TransferSyntax.IMPLICIT


@pytest.mark.parametrize("name", ["eclipse", "raystation", "monaco", "pinnacle"])
def test_planning_systems_get_short_plain_names_and_contours_that_fit_explicit_vr(name: str) -> None:
    profile = PROFILES[name]
    assert profile.name_length == 16
    assert profile.characters is Characters.ASCII
    assert profile.one_external
    # x and y with their decimals and backslash, z as the image has it, at most 16 bytes and backslash
    longest_point = 2 * (len("-9999.") + profile.decimals + 1) + 17
    assert profile.most_points * longest_point <= 0xFFFE + profile.most_points


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name_length": 8}, "name_length is 8, expected 12 to 64"),
        ({"name_length": 65}, "name_length is 65"),
        ({"decimals": 1}, "decimals is 1, expected 2 to 6"),
        ({"tolerance_mm": 0}, "tolerance_mm is 0, expected 0.01 to 5"),
        ({"most_points": 3}, "most_points is 3, expected 16"),
        ({"smallest_island_mm2": -1}, "smallest_island_mm2 is -1"),
        ({"smallest_hole_mm2": 1e6}, "smallest_hole_mm2 is 1e"),
        ({"volume_tolerance": 0.5}, "volume_tolerance is 0.5"),
        ({"boundary": Boundary.DECIMATED}, "needs a volume_tolerance"),
        ({"label": "{patient}"}, "label is '{patient}', expected words and"),
        ({"description": "{"}, "description '{' is no pattern"),
        ({"series_description": " "}, "series_description is ' '"),
        ({"name": "my profile"}, "profile name is 'my profile'"),
    ],
)
def test_impossible_values_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(PROFILES["eclipse"], **changes)  # type: ignore[arg-type]


def test_the_docs_have_every_field_and_every_value() -> None:
    rows = {}
    for line in DOCS.read_text().splitlines():
        cells = [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 1 + len(PROFILES):
            rows[cells[0]] = cells[1 : 1 + len(PROFILES)]
    for field in dataclasses.fields(ExportProfile):
        if field.name != "name":
            stated = [str(getattr(profile, field.name)) for profile in PROFILES.values()]
            assert rows.pop(field.name) == stated, field.name
    assert not rows

"""The bytes of every object that leaves the node, held by checksums; tests/support/output_bytes.py rewrites them."""

import json
from importlib.metadata import version

import pytest

from imaging.export.profiles import PROFILES
from tests.support.output_bytes import CHECKSUMS, checksums, every_object, pixel_checksums

HELD = json.loads(CHECKSUMS.read_text())


@pytest.fixture(scope="module")
def objects() -> dict[str, bytes]:
    return dict(every_object())


@pytest.fixture(scope="module")
def made(objects: dict[str, bytes]) -> dict[str, str]:
    return checksums(objects)


def test_every_profile_and_every_kind_of_object_is_held(made: dict[str, str]) -> None:
    assert made.keys() == HELD["objects"].keys()
    kinds = {f"structure set {name}" for name in PROFILES} | {"segmentation", "report", "capture"}
    assert {f"first: {kind}" for kind in kinds} <= made.keys()


@pytest.mark.parametrize("name", HELD["objects"])
def test_an_object_has_the_bytes_that_it_had(made: dict[str, str], name: str) -> None:
    assert made[name] == HELD["objects"][name], "if this is wanted: python -m tests.support.output_bytes"


def test_the_pages_show_what_they_showed(objects: dict[str, bytes]) -> None:
    held = HELD["pixels"]
    if held["pillow"] != version("pillow"):
        pytest.skip(f"the pages were drawn by Pillow {held['pillow']}; this is {version('pillow')}")
    assert {"pillow": held["pillow"], **pixel_checksums(objects)} == held

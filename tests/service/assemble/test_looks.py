"""Most slices decide which rule a series gets, whatever the order of their UIDs."""

from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from phantoms.dicom import ct_files
from service.store import FileLost, FileStore, JobState
from tests.support.small_node import RULE, SmallNode, settings, small_volume

COUNT = len(small_volume().array_zyx)
NECK = {**RULE, "name": "neck", "body_part": "^NECK$"}
HEAD = {**RULE, "name": "head", "body_part": "^HEAD$"}


def received(node: SmallNode, heads: list[int]) -> None:
    """Slices of the neck, those of these places in the order of their SOP Instance UIDs of the head."""
    uids: list[str] = []
    node_uids = sorted(_uids())
    chosen = {node_uids[place] for place in heads}

    def part(image: Dataset) -> None:
        uids.append(image.SOPInstanceUID)
        image.BodyPartExamined = "HEAD" if image.SOPInstanceUID in chosen else "NECK"

    node.receive(change=part)
    node.clock.tick(20)
    assert len(uids) == COUNT


def _uids() -> list[str]:
    return [
        str(dcmread(BytesIO(file.data), stop_before_pixels=True).SOPInstanceUID)
        for file in ct_files(small_volume(), None)
    ]


@pytest.mark.parametrize("heads", [[0, 1], [COUNT - 2, COUNT - 1]])
@pytest.mark.parametrize("rules", [[NECK, HEAD], [HEAD, NECK]])
def test_most_slices_choose_the_rule_and_a_note_says_where_they_differ(
    small_node: SmallNode, heads: list[int], rules: list[dict[str, object]]
) -> None:
    received(small_node, heads)
    small_node.assembler(settings(rules=rules)).poll_once()
    job = small_node.job()
    assert (job.state, job.rule) == (JobState.QUEUED, "neck")
    closed = small_node.book.events(job.id)[-1].message
    differ = f"Body Part Examined (0018,0015) differs between the images: 'NECK' in {COUNT - 2}, 'HEAD' in 2"
    assert f"{differ}; {COUNT - 2} of {COUNT} images match rule neck; the majority decides" in closed


def test_of_equally_many_slices_the_first_rule_of_the_settings_decides(small_node: SmallNode) -> None:
    received(small_node, list(range(0, COUNT, 2)))
    heads = (COUNT + 1) // 2
    small_node.assembler(settings(rules=[HEAD, NECK])).poll_once()
    assert small_node.job().rule == ("head" if heads * 2 >= COUNT else "neck")


def test_slices_that_no_rule_is_for_outvoted_are_contoured_with_the_others(small_node: SmallNode) -> None:
    received(small_node, [0])
    small_node.assembler(settings(rules=[NECK])).poll_once()
    assert (small_node.job().state, small_node.job().rule) == (JobState.QUEUED, "neck")


def test_a_few_slices_that_a_rule_is_for_do_not_bring_the_others_to_it(small_node: SmallNode) -> None:
    received(small_node, [0, 1])
    small_node.assembler(settings(rules=[HEAD])).poll_once()
    job = small_node.job()
    assert job.state is JobState.NOTHING_TO_CONTOUR
    assert "Body Part Examined 'NECK'" in job.reason


def test_a_series_whose_file_cannot_be_read_at_the_moment_is_looked_at_again(
    small_node: SmallNode, tmp_path: Path
) -> None:
    class Away(FileStore):
        """A storage folder that is away for one look; what it holds is whole."""

        away = True

        def read(self, path: str) -> bytes:
            if self.away:
                raise FileLost(path)
            return super().read(path)

    received(small_node, heads=[])
    small_node.files = Away(tmp_path / "store")
    small_node.assembler().poll_once()
    assert small_node.job().state in (JobState.RECEIVING, JobState.WAITING)
    Away.away = False
    small_node.assembler().poll_once()
    assert small_node.job().state is JobState.QUEUED

"""A short run of the long fuzzing of a running receiver."""

from pathlib import Path

import pytest

from reliability.conversations import conversation
from reliability.fuzz_network import fuzz_network, repeat

pytestmark = pytest.mark.network


@pytest.mark.timeout(600)
def test_malformed_conversations_leave_others_served(tmp_path: Path) -> None:
    report = fuzz_network(tmp_path / "receiver", seed=1, seconds=300, most=320)
    assert report.finds == []
    assert report.conversations == 320
    assert report.echoes == 8
    assert len(report.answers.acknowledged) == 8


def test_a_conversation_is_the_same_each_time() -> None:
    assert [conversation(4, n).data for n in range(40)] == [conversation(4, n).data for n in range(40)]
    assert conversation(4, 1).data != conversation(5, 1).data


def test_a_saved_stream_is_given_to_a_new_receiver(tmp_path: Path) -> None:
    assert repeat(tmp_path / "receiver", conversation(1, 3).data) == "read"

"""What is read of a STOW request's body, and what its answer may say."""

import random
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from types import SimpleNamespace

import anyio
import anyio.to_thread
import pytest

from phantoms.dicom import ct_files
from service.dimse.statuses import Status
from service.receive.store_handler import Response as Answer
from service.web.dicomweb.body import BLOCK_BYTES, Blocks, BrokenBody
from service.web.dicomweb.store import NoPart10, named_in
from service.web.dicomweb.store_answer import StoredPart, stored_answer
from tests.support.small_node import small_volume


@pytest.mark.filterwarnings("ignore")
def test_no_head_of_a_file_ends_in_an_error_of_the_node() -> None:
    whole, rng = ct_files(small_volume())[0].data, random.Random(1)
    head = whole[132 : 144 + int.from_bytes(whole[140:144], "little")]
    for _ in range(2000):
        damaged = bytearray(head)
        for _ in range(rng.randint(1, 4)):
            place = rng.randrange(len(damaged))
            damaged[place : place + rng.randint(0, 2)] = rng.choice(
                [b"\xff\xff", b"\0\0", b"US", b"SQ", b"\\", b""]
            )
        with suppress(NoPart10):
            assert all(re.fullmatch(r"[0-9.]{1,64}", uid) for uid in named_in(bytes(damaged)))


def test_a_body_that_stops_or_trickles_gives_its_place_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async def came(pause_s: float, pieces: int) -> AsyncIterator[bytes]:
        for _ in range(pieces):
            yield b"piece"
            await anyio.sleep(pause_s)

    monkeypatch.setattr("service.web.dicomweb.body.STALLED_S", 0.05)
    monkeypatch.setattr("service.web.dicomweb.body.SLOWEST_BYTES_S", BLOCK_BYTES / 0.1)
    for pause_s, pieces, said in ((10.0, 1, "nothing arrived for"), (0.01, 1000, "bytes came within")):
        blocks = Blocks(SimpleNamespace(stream=partial(came, pause_s, pieces)))  # type: ignore[arg-type]
        with pytest.raises(BrokenBody, match=said):
            anyio.run(anyio.to_thread.run_sync, blocks.next)


def test_a_warning_has_only_what_a_header_may_have() -> None:
    failed = StoredPart(
        sop_class_uid="1.2",
        sop_instance_uid="1.3",
        answer=Answer(status=Status.CANNOT_UNDERSTAND, comment='"ü"\r\nX: y'),
    )
    assert stored_answer([failed], "").headers["warning"] == '299 contour-node "?????X: y"'

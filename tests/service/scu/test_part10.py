from pathlib import Path

import pytest

from reliability.samples import ct_variants
from service.errors import Refused
from service.scu.part10 import look_at

GOOD = ct_variants()[0]
CLASS = GOOD.index(b"\x02\x00\x02\x00UI")


def test_what_a_file_holds_is_read_from_its_head(tmp_path: Path) -> None:
    file = tmp_path / "ct.dcm"
    file.write_bytes(GOOD)
    found = look_at(file)
    assert (found.sop_class_uid, found.transfer_syntax_uid) == (
        "1.2.840.10008.5.1.4.1.1.2",
        "1.2.840.10008.1.2.1",
    )


@pytest.mark.parametrize(
    "spoiled",
    [
        b"no DICOM",
        GOOD[:140],
        GOOD[: CLASS + 4] + b"UL" + GOOD[CLASS + 6 :],
        GOOD[: CLASS + 4] + b"OB\0\0\xfe\xff\xff\xff" + GOOD[CLASS + 6 :],
    ],
    ids=["other", "cut", "kind", "length"],
)
def test_a_spoilt_head_is_refused(tmp_path: Path, spoiled: bytes) -> None:
    file = tmp_path / "ct.dcm"
    file.write_bytes(spoiled)
    with pytest.raises(Refused, match=r"ct\.dcm"):
        look_at(file)


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        look_at(tmp_path / "none.dcm")

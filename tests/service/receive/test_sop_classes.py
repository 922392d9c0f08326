from pathlib import Path

import pytest
from pydicom.uid import UID

from service.dimse import file_meta, sop_classes
from service.dimse.statuses import Status
from service.receive import object_families

STATEMENT = (Path(__file__).parents[3] / "docs" / "conformance.md").read_text()
NAMED = (
    sop_classes.STORAGE | dict(object_families.named()) | sop_classes.UNCOMPRESSED | sop_classes.COMPRESSED
)


@pytest.mark.parametrize(("name", "uid"), NAMED.items())
def test_each_uid_is_what_it_is_called_and_stands_in_the_conformance_statement(name, uid):
    assert UID(uid).is_valid
    assert UID(uid).name.startswith(name) or name in STATEMENT
    assert f"| {name} | {uid} |" in STATEMENT


def test_the_statement_names_no_other_storage_class_or_transfer_syntax():
    rows = [line for line in STATEMENT.splitlines() if "| 1.2.840.10008." in line]
    assert len(rows) == len(NAMED) + 2  # and Verification, Storage Commitment


@pytest.mark.parametrize("status", list(Status))
def test_each_status_stands_in_the_conformance_statement(status):
    assert f"| 0x{status:04X} |" in STATEMENT


def test_the_implementation_stands_in_the_conformance_statement():
    assert f"`{file_meta.IMPLEMENTATION_UID}`" in STATEMENT
    assert UID(file_meta.IMPLEMENTATION_UID).is_valid


def test_further_classes_are_taken_where_they_are_listed():
    secondary_capture = "1.2.840.10008.5.1.4.1.1.7"
    assert secondary_capture not in sop_classes.supported()
    assert secondary_capture in sop_classes.supported([secondary_capture])

import pytest

from imaging.dicom.uids import derived_uid


def test_the_same_parts_make_the_same_uid() -> None:
    assert derived_uid("job", "7") == derived_uid("job", "7")
    assert derived_uid("job", "7").startswith("2.25.")
    assert len(derived_uid("job", "7")) <= 44


def test_other_parts_and_other_cuts_make_other_uids() -> None:
    uids = {derived_uid(*parts) for parts in (("a", "b"), ("b", "a"), ("ab",), ("a", "b", ""), ("a:1", "b"))}
    assert len(uids) == 5


def test_a_uid_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one part"):
        derived_uid()

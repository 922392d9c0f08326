import pytest

from service.scu.outcome import PermanentRefusal, Sent, TransientFailure
from service.scu.statuses import outcome_of


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (0x0000, Sent, ""),
        (0x0001, Sent, "optional attributes"),
        (0x0107, Sent, "attribute list"),
        (0x0111, Sent, "had it already"),
        (0x0116, Sent, "out of range"),
        (0xB000, Sent, "coercion"),
        (0xB006, Sent, "discarded"),
        (0xB007, Sent, "SOP class"),
        (0xB123, Sent, "warning"),
        (0x0110, TransientFailure, "processing failure"),
        (0x0213, TransientFailure, "resource"),
        (0xA700, TransientFailure, "out of resources"),
        (0xA7FF, TransientFailure, "out of resources"),
        (0xFE00, TransientFailure, "no standard"),
        (0x0117, PermanentRefusal, "invalid SOP instance"),
        (0x0122, PermanentRefusal, "SOP class not supported"),
        (0x0124, PermanentRefusal, "not authorized"),
        (0xA900, PermanentRefusal, "does not match"),
        (0xC000, PermanentRefusal, "cannot understand"),
        (0xCFFF, PermanentRefusal, "cannot understand"),
    ],
)
def test_each_status_leads_to_its_next_step(status, kind, words):
    outcome = outcome_of(status, comment="the peer's words")
    assert isinstance(outcome, kind)
    said = outcome.note if isinstance(outcome, Sent) else outcome.reason
    assert words in said
    assert status == 0 or said.endswith(": the peer's words")
    assert status == 0 or said.startswith(f"0x{status:04X} ")

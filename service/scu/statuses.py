"""The outcome that a peer's C-STORE status means (PS3.4 Table B.2-1, PS3.7 Annex C)."""

from service.scu.outcome import Outcome, PermanentRefusal, Sent, TransientFailure

_SUCCESS = 0x0000
_DUPLICATE_SOP_INSTANCE = 0x0111
_WARNINGS = {
    0x0001: "requested optional attributes are not supported",
    0x0107: "attribute list error",
    0x0116: "attribute value out of range",
    0xB000: "coercion of data elements",
    0xB006: "elements discarded",
    0xB007: "dataset does not match its SOP class",
}
_TRANSIENT = {
    0x0110: "processing failure",
    0x0213: "resource limitation",
}
_PERMANENT = {
    0x0105: "no such attribute",
    0x0106: "invalid attribute value",
    0x0112: "no such SOP instance",
    0x0115: "invalid argument value",
    0x0117: "invalid SOP instance",
    0x0118: "no such SOP class",
    0x0119: "class-instance conflict",
    0x0120: "missing attribute",
    0x0121: "missing attribute value",
    0x0122: "SOP class not supported",
    0x0124: "not authorized",
    0x0210: "duplicate invocation",
    0x0211: "unrecognized operation",
    0x0212: "mistyped argument",
}


def outcome_of(status: int, *, comment: str = "") -> Outcome:
    """Return the outcome of a C-STORE status; a status that the standard does not define is retried.

    Args:
        status: (0000,0900) of the response.
        comment: (0000,0902) of the response, the peer's own words.
    """
    said = f": {comment}" if comment else ""
    if status == _SUCCESS:
        return Sent()
    if status == _DUPLICATE_SOP_INSTANCE:  # UIDs are derived from the job: the object it has is this very one
        return Sent(note=f"0x{status:04X} duplicate SOP instance: the destination had it already{said}")
    if status in _WARNINGS or status & 0xF000 == 0xB000:
        return Sent(note=f"0x{status:04X} {_WARNINGS.get(status, 'warning')}{said}")
    return _failure(status, said)


def _failure(status: int, said: str) -> Outcome:
    if status & 0xFF00 == 0xA700:
        return TransientFailure(reason=f"0x{status:04X} out of resources{said}")
    if status & 0xFF00 == 0xA900:
        return PermanentRefusal(reason=f"0x{status:04X} dataset does not match its SOP class{said}")
    if status & 0xF000 == 0xC000:
        return PermanentRefusal(reason=f"0x{status:04X} cannot understand the dataset{said}")
    if status in _PERMANENT:
        return PermanentRefusal(reason=f"0x{status:04X} {_PERMANENT[status]}{said}")
    return TransientFailure(
        reason=f"0x{status:04X} {_TRANSIENT.get(status, 'a status no standard defines')}{said}"
    )

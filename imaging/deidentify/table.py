"""PS3.15 Table E.1-1 as a function: what to do with an attribute."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache, lru_cache
from importlib.resources import files

from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.tag import BaseTag

from imaging.deidentify.options import DeidentificationOptions


class Action(Enum):
    """The actions that PS3.15 Table E.1-1a calls X, Z, D, U, K, and C (for dates).

    The others are this program's own, for attributes that the table does not list.
    """

    REMOVE = "X"
    EMPTY = "Z"
    DUMMY = "D"
    REPLACE_UID = "U"
    KEEP = "K"
    SHIFT_DATE = "C"
    LOOK_INSIDE = "sequence"
    SEARCH = "text"  # kept, unless the patient or another person is named in it


@dataclass(frozen=True, kw_only=True)
class ActionRow:
    """One attribute's actions: the profile's, and those of the two options that the node has; "-": the profile's."""

    basic: str
    modified_dates: str
    patient_characteristics: str


_DATES = frozenset({"DA", "TM", "DT"})
# Any of these holds prose, a person, a place or something unknown; nobody has examined the unlisted ones.
_REMOVED_UNLISTED = frozenset({"PN", "LT", "ST", "UT", "UR", "UC", "AE", "UN", "OB or UN"})
_SEARCHED = frozenset({"CS", "LO", "SH"})
_BULK = frozenset({"OB", "OD", "OF", "OL", "OV", "OW"})
# Pixels, and the tables for displaying them; any other bytes can hold anything.
_BULK_KEPT = frozenset(
    {0x00283006, 0x7FE00010}
    | {0x00281201, 0x00281202, 0x00281203, 0x00281204, 0x00281221, 0x00281222, 0x00281223, 0x00281224}
)
# Retired attributes that the table omits: order numbers (Placer, Filler; Procedure, Imaging Service Request).
_REMOVED_RETIRED = frozenset({0x00401006, 0x00401007, 0x00402006, 0x00402007})
_KEPT_TEXT = frozenset({0x00620020})  # Tracking ID: replaced as its Tracking UID is
# Objects in which an attribute with a choice such as X/Z/D must be present (PS3.3, Type 2 and Type 1).
_RT = ("1.2.840.10008.5.1.4.1.1.481.",)
_SEGMENTATION = ("1.2.840.10008.5.1.4.1.1.66.4",)
_ENHANCED = ("1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")
_NEEDED: Mapping[int, tuple[tuple[str, ...], Action]] = {
    0x00081070: (_RT, Action.EMPTY),  # Operators' Name
    0x00400555: (_SEGMENTATION + _ENHANCED, Action.EMPTY),  # Acquisition Context Sequence
    0x00181000: (_SEGMENTATION + _ENHANCED, Action.DUMMY),  # Device Serial Number
}


@cache
def rows() -> Mapping[int, ActionRow]:
    """Return the table by tag, from the file beside this module that names its edition."""
    text = files("imaging.deidentify").joinpath("table_e1_1.txt").read_text(encoding="ascii")
    lines = (line.split() for line in text.splitlines() if line and not line.startswith("#"))
    return {
        int(tag, 16): ActionRow(basic=basic, modified_dates=dates, patient_characteristics=characteristics)
        for tag, basic, dates, characteristics, _keyword in lines
    }


@lru_cache(maxsize=8192)  # the slices of a series have the same attributes
def action_for(tag: BaseTag, vr: str, options: DeidentificationOptions, sop_class_uid: str) -> Action:
    """Return the action for an attribute of this VR in an object of this class.

    Private attributes, curves, overlays and what PS3.6 does not know are removed.
    """
    if tag.is_private or tag.group >> 8 in (0x50, 0x60) or not known_vr(tag):
        return Action.REMOVE
    row = rows().get(tag)
    if row is None:
        return _unlisted(tag, vr, options)
    if options.modified_dates and row.modified_dates == "C" and vr in _DATES:
        return Action.SHIFT_DATE
    if options.patient_characteristics and row.patient_characteristics == "K":
        return Action.KEEP
    return _chosen(row.basic, tag, vr, sop_class_uid)


def _chosen(code: str, tag: BaseTag, vr: str, sop_class_uid: str) -> Action:
    """Return the mildest action of a choice that keeps the object valid: X unless the class needs it (PS3.15 E.1.1)."""
    if code == "X/Z/U":
        return Action.LOOK_INSIDE  # the UIDs inside are replaced
    if code == "Z/D":
        return Action.EMPTY if vr == "PN" else Action.DUMMY
    if code.startswith("X/"):
        classes, needed = _NEEDED.get(tag, ((), Action.REMOVE))
        return needed if sop_class_uid.startswith(classes) else Action.REMOVE
    return Action(code)


def _unlisted(tag: BaseTag, vr: str, options: DeidentificationOptions) -> Action:
    if tag in _KEPT_TEXT or tag in _BULK_KEPT:
        return Action.SEARCH if tag in _KEPT_TEXT else Action.KEEP
    if vr in _DATES:
        return Action.SHIFT_DATE if options.modified_dates else Action.REMOVE
    if tag in _REMOVED_RETIRED or vr in _REMOVED_UNLISTED or not _BULK.isdisjoint(vr.split(" or ")):
        return Action.REMOVE
    if vr in _SEARCHED:
        return Action.SEARCH
    return {"UI": Action.REPLACE_UID, "SQ": Action.LOOK_INSIDE}.get(vr, Action.KEEP)


def vr_of(tag: BaseTag, stated: str | None) -> str:
    """Return the VR that a file states, or PS3.6's where it states none."""
    if stated not in (None, "UN"):
        return str(stated)
    return known_vr(tag) or "UN"


@lru_cache(maxsize=8192)
def known_vr(tag: BaseTag) -> str:
    """Return the VR that PS3.6 gives an attribute, "" where it gives none."""
    return dictionary_VR(tag) if dictionary_has_tag(tag) else ""


__all__ = ["Action", "ActionRow", "action_for", "known_vr", "rows", "vr_of"]

"""Reads Varian Eclipse structure templates and the structures of its clinical protocols, as XML exported from Eclipse.

What is read was found in exported files of the versions 1.1 and 1.2: `StructureTemplate/Structures/Structure` with the
attributes ID and Name, and in it `Identification/VolumeType`, `Identification/StructureCode` (Code, CodeScheme,
CodeSchemeVersion) and `ColorAndStyle`. Search ranges and DVH line styles do not belong in a structure set.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Collection, Iterator, Mapping

from imaging.structures import CATALOGUE, Code, InterpretedType
from service.template.imported import ImportedRow, ImportedTemplate, place
from service.template.load import TemplateRefused

LARGEST_BYTES = 4_000_000
_LONGEST_CODE = 16  # Code Value (0008,0100) and Coding Scheme Designator (0008,0102), SH
_ROOTS = ("StructureTemplate", "Protocol")
_LEFT_OUT = {"TypeIndex", "SearchCTLow", "SearchCTHigh", "DVHLineStyle", "DVHLineColor", "DVHLineWidth",
             "EUDAlpha", "TCPAlpha", "TCPBeta", "TCPGamma"}  # fmt: skip
_READ = {"Identification", "ColorAndStyle"}
_IDENTIFIES = {"VolumeID", "VolumeCode", "VolumeType", "VolumeCodeTable", "StructureCode"}
_OUTLINES = ("BODY", "EXTERNAL")
_RGB = re.compile(r"RGB(?: *([0-9]{1,3}) +([0-9]{1,3}) +([0-9]{1,3})|([ 0-9]{3})([ 0-9]{3})([ 0-9]{3}))")
_STYLE = re.compile(r"^(?:Segment|Transluce|Translucent|Contour)(?: - |-| )")
_COLOURS: Mapping[str, tuple[int, int, int]] = {
    "red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "yellow": (255, 255, 0), "cyan": (0, 255, 255),
    "magenta": (255, 0, 255), "orange": (255, 165, 0), "brown": (165, 42, 42), "pink": (255, 192, 203),
    "white": (255, 255, 255),
}  # fmt: skip


def read_eclipse(data: bytes, codes: Collection[str]) -> ImportedTemplate:
    """Return the structures of an Eclipse template, matched to the model's.

    Raises TemplateRefused for any other file.
    """
    root = _root(data)
    holder = root if root.tag == "StructureTemplate" else root.find("StructureTemplate")
    structures = [] if holder is None else holder.findall("Structures/Structure")
    if not structures:
        raise TemplateRefused(
            "the file has no StructureTemplate/Structures/Structure; is it an Eclipse template?"
        )
    notes: dict[str, None] = {}
    rows = [row for number, element in enumerate(structures, 1) for row in _row(number, element, notes)]
    preview = root.find("Preview")
    name = (preview.get("ID") if preview is not None else None) or "Eclipse template"
    return ImportedTemplate(name=name.strip(), placed=place(rows, codes), notes=tuple(notes))


def _root(data: bytes) -> ET.Element:
    if len(data) > LARGEST_BYTES:
        raise TemplateRefused(
            f"{len(data)} bytes are too many for a structure template (at most {LARGEST_BYTES})"
        )
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise TemplateRefused("the file declares a document type; an exported template does not")
    try:
        root = ET.fromstring(data)
    except (ET.ParseError, LookupError, ValueError) as error:  # the last two: an unknown encoding
        raise TemplateRefused(f"the file is not XML: {error}") from error
    if root.tag not in _ROOTS:
        raise TemplateRefused(f"the file's root is <{root.tag}>, expected <{'> or <'.join(_ROOTS)}>")
    return root


def _row(number: int, element: ET.Element, notes: dict[str, None]) -> Iterator[ImportedRow]:
    """Yield the structure as a row; what is not understood goes to the notes, each thing once."""
    name = (element.get("ID") or element.get("Name") or "").strip()
    if not name:
        notes[f"structure {number} has neither ID nor Name and was left out"] = None
        return
    for tag in sorted({child.tag for child in element} - _READ - _LEFT_OUT):
        notes[f"<{tag}> is not understood and was left out"] = None
    identification = element.find("Identification")
    inner = [] if identification is None else list(identification)
    for tag in sorted({child.tag for child in inner} - _IDENTIFIES):
        notes[f"<Identification>/<{tag}> is not understood and was left out"] = None
    volume_type = (element.findtext("Identification/VolumeType") or "").strip().upper()
    yield ImportedRow(
        name=name[:64],
        external=volume_type in _OUTLINES,
        colour=_colour(name, element.findtext("ColorAndStyle"), notes),
        type=_type(name, volume_type, notes),
        concept=_concept(element.find("Identification/StructureCode"), name, notes),
    )


def _type(name: str, volume_type: str, notes: dict[str, None]) -> InterpretedType | None:
    if volume_type in ("", "NONE", *_OUTLINES):
        return None
    if volume_type in InterpretedType.__members__:
        return InterpretedType(volume_type)
    notes[
        f"{name}: volume type '{volume_type}' is not one that the node writes; the catalogue's type is used"
    ] = None
    return None


def _concept(element: ET.Element | None, name: str, notes: dict[str, None]) -> Code | None:
    """Return the structure's code; the file has no meaning, so the catalogue's is used if it has the code."""
    value, scheme = ("", "") if element is None else (element.get("Code", ""), element.get("CodeScheme", ""))
    if not value or not scheme:
        return None
    if len(value) > _LONGEST_CODE or len(scheme) > _LONGEST_CODE:
        found = f"code '{value}' of scheme '{scheme}' has more than {_LONGEST_CODE} characters"
        notes[f"{name}: {found} and was left out; the catalogue's is used"] = None
        return None
    known = (structure.concept for structure in CATALOGUE.values())
    meaning = next(
        (c.meaning for c in known if c is not None and (c.value, c.scheme) == (value, scheme)), name
    )
    return Code(value=value, scheme=scheme, meaning=meaning[:64])


def _colour(name: str, text: str | None, notes: dict[str, None]) -> tuple[int, int, int] | None:
    """Read RGB in fields of three characters, or the name of a style, which each site can define in its own way."""
    style = (text or "").strip()
    found = _RGB.fullmatch(style)
    if found is not None:
        red, green, blue = (int(part) if part.strip() else 0 for part in found.groups() if part is not None)
        if max(red, green, blue) <= 255:
            return red, green, blue
    word = _STYLE.sub("", style).strip().casefold()
    near = [
        colour
        for known, colour in _COLOURS.items()
        if word and (known == word or (len(word) == 4 and known.startswith(word)))
    ]
    if len(near) == 1:
        notes[f"{name}: colour style '{style}' is taken as {near[0]}; Eclipse's styles differ by site"] = None
        return near[0]
    if style:
        notes[f"{name}: colour style '{style}' is not known; the catalogue's colour is used"] = None
    return None

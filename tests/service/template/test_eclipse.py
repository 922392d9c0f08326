from pathlib import Path

import pytest

from imaging.structures import InterpretedType
from service.template import TemplateRefused
from service.template.eclipse import read_eclipse
from service.template.imported import ImportedTemplate
from service.template.load import parse_template
from tests.support.models import HN_CODES

FILE = Path(__file__).parent / "files/eclipse-head-neck.xml"
CODES = HN_CODES


def imported() -> ImportedTemplate:
    return read_eclipse(FILE.read_bytes(), CODES)


def one(inner: str, root: str = "StructureTemplate") -> bytes:
    return f"<{root}><Structures>{inner}</Structures></{root}>".encode()


def larynx(colour: str) -> ImportedTemplate:
    return read_eclipse(
        one(f'<Structure ID="Larynx"><ColorAndStyle>{colour}</ColorAndStyle></Structure>'), CODES
    )


def test_what_was_recognised_and_what_was_not() -> None:
    assert [(p.row.name, p.match.code if p.used else None) for p in imported().placed] == [
        ("BODY", None),
        ("Rückenmark", "SpinalCord"),
        ("SpinalCord_PRV5", None),
        ("Parotis links", "Parotid_L"),
        ("Parotid_R", None),
        ("Carotid_L", None),
        ("Brainsten", None),
        ("PTV_7000", None),
    ]
    words = [placed.words() for placed in imported().placed]
    assert words[0] == "outline of the patient"
    assert words[2] == "looks like SpinalCord with 5 mm: proposed"
    assert words[4].startswith("perhaps Parotid_R (name and code disagree)")


def test_the_written_template_holds_colours_types_and_codes() -> None:
    template = parse_template(imported().toml(CODES), "it")
    assert template.name == "HN research"
    body, cord, parotid = template.structure
    assert body.external
    assert cord.colour == (255, 192, 203)
    assert parotid.colour == (88, 0, 176)
    assert parotid.type is InterpretedType.ORGAN
    assert parotid.concept is not None
    assert (parotid.concept.value, parotid.concept.meaning) == ("59798", "Left parotid gland")


def test_what_was_not_recognised_stands_there_as_a_comment() -> None:
    text = imported().toml(CODES)
    assert '# name = "PTV_7000"' in text
    uncommented = text.replace(
        '# [[structure]]\n# name = "SpinalCord_PRV5"\n# from', '[[structure]]\nname = "SpinalCord_PRV5"\nfrom'
    )
    assert "# steps = [{ margin_mm = 5 }]" in uncommented


def test_what_is_unknown_or_a_guess_is_noted_once() -> None:
    notes = imported().notes
    assert "<Resolution> is not understood and was left out" in notes
    assert "Carotid_L: colour style 'LemonGreen' is not known; the catalogue's colour is used" in notes
    assert len(set(notes)) == len(notes)
    assert not any("DVH" in note or "Search" in note for note in notes)


@pytest.mark.parametrize(
    ("text", "colour"),
    [
        ("RGB255192203", (255, 192, 203)),
        ("RGB 88  0176", (88, 0, 176)),
        ("RGB  0255191", (0, 255, 191)),
        ("RGB 1 2 3", (1, 2, 3)),
        ("Segment - Pink", (255, 192, 203)),
        ("Transluce - Brow", (165, 42, 42)),
        ("RGB999999999", None),
        ("Skin Rendering", None),
        ("", None),
    ],
)
def test_colours_are_read_in_the_forms_that_eclipse_writes(
    text: str, colour: tuple[int, int, int] | None
) -> None:
    assert larynx(text).placed[0].row.colour == colour


def test_a_clinical_protocol_has_its_structures_too() -> None:
    data = one('<Structure ID="Larynx"/>').replace(b"<StructureTemplate>", b"<Protocol><StructureTemplate>")
    data = data.replace(b"</StructureTemplate>", b"</StructureTemplate></Protocol>")
    assert [placed.match.code for placed in read_eclipse(data, CODES).placed] == ["Larynx"]


def test_a_structure_twice_and_one_without_a_name() -> None:
    found = read_eclipse(one('<Structure ID="Larynx"/><Structure ID="Kehlkopf"/><Structure/>'), CODES)
    assert [placed.words() for placed in found.placed] == [
        "Larynx (TG-263 name)",
        "'Larynx' is Larynx already",
    ]
    assert found.notes == ("structure 3 has neither ID nor Name and was left out",)


def test_an_unwritten_type_falls_back_with_a_note() -> None:
    data = one(
        '<Structure ID="Larynx"><Identification><VolumeType>Tumour</VolumeType></Identification></Structure>'
    )
    found = read_eclipse(data, CODES)
    assert found.placed[0].row.type is None
    assert "volume type 'TUMOUR'" in found.notes[0]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"no xml", "not XML"),
        (b"<Plan/>", "root is <Plan>"),
        (b"<StructureTemplate/>", "no StructureTemplate/Structures/Structure"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><StructureTemplate/>', "document type"),
        (b" " * 4_000_001, "too many"),
    ],
)
def test_other_files_are_refused(data: bytes, says: str) -> None:
    with pytest.raises(TemplateRefused, match=says):
        read_eclipse(data, CODES)


def test_a_template_of_which_nothing_is_known_is_refused() -> None:
    with pytest.raises(TemplateRefused, match="no structure is sent"):
        read_eclipse(one('<Structure ID="Heart"/>'), CODES).toml(CODES)


def test_texts_cannot_leave_their_place_in_the_file() -> None:
    nasty = "Larynx&#10;[[structure]]&quot;\\"
    text = read_eclipse(one(f'<Structure ID="Larynx"/><Structure ID="{nasty}"/>'), CODES).toml(CODES)
    assert [entry.name for entry in parse_template(text, "it").structure] == ["Larynx"]


@pytest.mark.parametrize("encoding", ["x-none", "cp500", "utf-7", "utf-32"])
def test_an_encoding_that_the_parser_does_not_know_is_refused(encoding: str) -> None:
    with pytest.raises(TemplateRefused, match="not XML"):
        read_eclipse(f'<?xml version="1.0" encoding="{encoding}"?>'.encode() + one(""), CODES)


def test_a_code_that_does_not_fit_is_left_out_and_said_so() -> None:
    code = '<StructureCode Code="12345678901234567" CodeScheme="99VMS_STRUCTCODE" CodeSchemeVersion="1.0"/>'
    data = one(f'<Structure ID="Larynx"><Identification>{code}</Identification></Structure>')
    found = read_eclipse(data, CODES)
    assert found.placed[0].row.concept is None
    assert found.placed[0].match.code == "Larynx"
    assert found.notes == (
        "Larynx: code '12345678901234567' of scheme '99VMS_STRUCTCODE' has more than 16 characters "
        "and was left out; the catalogue's is used",
    )

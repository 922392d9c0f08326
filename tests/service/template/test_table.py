import pytest

from imaging.structures import InterpretedType
from service.template import TemplateRefused
from service.template.imported import ImportedTemplate
from service.template.load import parse_template
from service.template.table import read_table
from tests.support.models import HN_CODES

CODES = HN_CODES


def table(text: str) -> ImportedTemplate:
    return read_table(text.encode(), "ours", CODES)


def test_a_table_becomes_a_template() -> None:
    found = table(
        "name,from,colour,type,number,code_value,code_scheme,code_meaning,description,when_empty\n"
        "BODY,,#00ff00,EXTERNAL,1,,,,,\n"
        'Myelon,SpinalCord,255 220 0,ORGAN,2,7647,FMA,Spinal cord,"checked, twice",send\n'
        "Parotis re,,,,,,,,,\n"
    )
    body, cord, parotid = parse_template(found.toml(CODES), "it").structure
    assert (body.external, body.number, body.colour) == (True, 1, (0, 255, 0))
    assert (cord.source, cord.number, cord.colour, cord.type) == (
        "SpinalCord",
        2,
        (255, 220, 0),
        InterpretedType.ORGAN,
    )
    assert (cord.description, cord.when_empty) == ("checked, twice", "send")
    assert cord.concept is not None
    assert cord.concept.meaning == "Spinal cord"
    assert (parotid.name, parotid.source, parotid.colour) == ("Parotis re", "Parotid_R", None)


def test_semicolons_a_byte_order_mark_and_other_words_are_understood() -> None:
    found = read_table(
        "\ufeffROI;Code;Color\r\nRückenmark;SpinalCord;1,2,3\r\n;;\r\n".encode(), "ours", CODES
    )
    (cord,) = parse_template(found.toml(CODES), "it").structure
    assert (cord.name, cord.source, cord.colour) == ("Rückenmark", "SpinalCord", (1, 2, 3))


def test_a_code_of_another_model_stays_a_comment() -> None:
    found = table("name,from\nLarynx,\nHeart,Heart\n")
    assert [placed.words() for placed in found.placed] == ["Larynx (TG-263 name)", "the model has no 'Heart'"]
    assert "# [[structure]]" in found.toml(CODES)


def test_a_code_of_the_other_side_is_refused() -> None:
    with pytest.raises(TemplateRefused, match="made from the right"):
        table("name,from\nParotis_li,Parotid_R\n").toml(CODES)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name,colr\nA,1\n", "header is name, colr; allowed"),
        ("from\nLarynx\n", "name always"),
        ("name,name\nA,B\n", "each once"),
        ("", "header is nothing"),
        ("name\n", "no rows"),
        ("name,number\nLarynx,0\n", "line 2, number: '0'"),
        ("name,colour\nLarynx,300 0 0\n", "line 2, colour"),
        ("name,type\nLarynx,TUMOUR\n", "line 2, type: 'TUMOUR'; allowed: EXTERNAL, PTV"),
        ("name,when_empty\nLarynx,maybe\n", "line 2, when_empty"),
        ("name,code_value\nLarynx,1\n", "line 2: a code has"),
        ("name,from\nLarynx,,x\n", "line 2: more cells"),
        ("name,from\n,Larynx\n", "line 2: no name"),
    ],
)
def test_what_is_wrong_is_named_by_line(text: str, says: str) -> None:
    with pytest.raises(TemplateRefused, match=says):
        table(text)


def test_another_encoding_is_refused() -> None:
    with pytest.raises(TemplateRefused, match="CSV UTF-8"):
        read_table("name\nRückenmark\n".encode("cp1252"), "ours", CODES)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("A," + "x" * 200_000, "cannot be read"),
        ("A," + "9" * 5000, "colour"),
        ("A,1 2 " + "9" * 5000, "colour"),
    ],
)
def test_cells_without_end_are_refused(row: str, told: str) -> None:
    with pytest.raises(TemplateRefused, match=told):
        table(f"name,colour\n{row}\n")


def test_a_number_without_end_is_refused() -> None:
    with pytest.raises(TemplateRefused, match="number"):
        table("name,number\nA," + "9" * 5000 + "\n")


@pytest.mark.parametrize(
    "data",
    [
        "sep=;\r\nname;type;number\r\nKehlkopf;ORGAN;7\r\n",
        '"sep=;"\nname;type;number\nKehlkopf;ORGAN;7\n',
        "SEP=;;;\nname;type;number\nKehlkopf;ORGAN;7\n",
        "sep=\t\nname\ttype\tnumber\nKehlkopf\tORGAN\t7\n",
        "name\ttype\tnumber\nKehlkopf\tORGAN\t7\n",
        "name;type;;number;;\nKehlkopf;ORGAN;;7;;\n;;;;;\n",
        "name,type,number\nKehlkopf,ORGAN,7,,,\n",
    ],
)
def test_tables_as_excel_saves_them(data: str) -> None:
    (placed,) = read_table(data.encode("utf-8-sig"), "ours", CODES).placed
    assert (placed.row.name, placed.row.type, placed.row.number) == ("Kehlkopf", "ORGAN", 7)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("sep=;\nname;;number\nKehlkopf;note;7\n", "line 3: 'note' is in a column that has no name"),
        ("sep=;\nname;number\nKehlkopf;x\n", "line 3, number: 'x'"),
        ("name;number\nKehlkopf;7;note\n", "line 2: more cells than the header has columns"),
    ],
)
def test_a_cell_that_no_column_names_is_refused(data: str, says: str) -> None:
    with pytest.raises(TemplateRefused, match=says):
        read_table(data.encode(), "ours", CODES)

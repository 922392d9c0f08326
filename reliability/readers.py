"""Every reader of files that others wrote: how it is called, and with which errors it may end."""

import argparse
import contextlib
import io
import random
import tempfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from imaging.ct.headers import parse_header
from imaging.ct.series import ImageSeries, SourceFile, read_ct
from imaging.errors import ImageRefused, StructureSetUnreadable
from imaging.export.profiles import PROFILES
from imaging.rtstruct.masks import masks_on_grid
from imaging.rtstruct.reading import read_structure_set
from imaging.structures import CATALOGUE
from imaging.validation import validate
from reliability import mutations, text_mutations
from reliability.dicom_marks import ElementEncoding
from reliability.samples import ct_sources, ct_variants, structure_set_variants
from reliability.wire import BIG_ENDIAN, DEFLATED, IMPLICIT
from service.cli import arguments
from service.cli import validate as validate_command
from service.config import SettingsRefused, load_settings
from service.errors import Refused
from service.scu.part10 import look_at
from service.template.eclipse import read_eclipse
from service.template.load import TemplateRefused, load_template
from service.template.table import read_table

_REPOSITORY = Path(__file__).resolve().parents[1]
_META_AT = 132
_LARGEST_SAMPLE_BYTES = 400_000
Read = Callable[[bytes], object]
Mutate = Callable[[bytes, random.Random], bytes]


@dataclass(frozen=True, kw_only=True)
class FuzzedReader:
    """One reader: it ends with a result or with one of its errors, whatever the bytes."""

    name: str
    read: Read
    errors: tuple[type[BaseException], ...]
    samples: Callable[[], Sequence[bytes]]
    mutate: Mutate


def readers(corpus: Path | None = None) -> Mapping[str, FuzzedReader]:
    """Return every reader by name; the DICOM files in ``corpus``, if given, are additional samples."""
    return {reader.name: reader for reader in (*_image_readers(corpus), *_text_readers())}


def dicom_file(data: bytes, rng: random.Random) -> bytes:
    """Mutate a Part 10 file: mostly its dataset, sometimes its File Meta Information."""
    meta_bytes = int.from_bytes(data[_META_AT + 8 : _META_AT + 12], "little")
    start = _META_AT + 12 + meta_bytes
    if rng.random() < 0.1 or data[_META_AT - 4 : _META_AT] != b"DICM" or start >= len(data):
        return mutations.data_set(data, _META_AT, ElementEncoding(explicit=True, little=True), rng)
    head, body = data[:start], data[start:]
    if DEFLATED.encode() in head:
        return head + mutations.deflated(_inflated_mutation(body, rng), rng)
    implicit = IMPLICIT.encode() + b"\0" in head
    encoding = ElementEncoding(explicit=not implicit, little=BIG_ENDIAN.encode() not in head)
    return head + mutations.data_set(body, 0, encoding, rng)


def _inflated_mutation(body: bytes, rng: random.Random) -> bytes:
    with contextlib.suppress(zlib.error):
        plain = zlib.decompress(body, wbits=-zlib.MAX_WBITS)
        return mutations.data_set(plain, 0, ElementEncoding(explicit=True, little=True), rng)
    return mutations.blindly(body, rng)


def _image_readers(corpus: Path | None) -> list[FuzzedReader]:
    def of_ct() -> list[bytes]:
        return [*ct_variants(), *_files_of(corpus)]

    def of_structures() -> list[bytes]:
        return [*structure_set_variants(), *_files_of(corpus)]

    refused, unreadable = (ImageRefused,), (StructureSetUnreadable,)
    return [
        FuzzedReader(name="ct", read=_read_series, errors=refused, samples=of_ct, mutate=dicom_file),
        FuzzedReader(name="header", read=parse_header, errors=refused, samples=of_ct, mutate=dicom_file),
        FuzzedReader(
            name="structure_set",
            read=_read_structures,
            errors=unreadable,
            samples=of_structures,
            mutate=dicom_file,
        ),
        FuzzedReader(name="gate", read=_check, errors=(), samples=of_structures, mutate=dicom_file),
        FuzzedReader(name="validate", read=_validate, errors=(), samples=of_structures, mutate=dicom_file),
        FuzzedReader(
            name="part10", read=_with_file(look_at), errors=(Refused,), samples=of_ct, mutate=dicom_file
        ),
    ]


def _text_readers() -> list[FuzzedReader]:
    refused = (TemplateRefused,)
    return [
        FuzzedReader(
            name="template",
            read=_with_file(load_template),
            errors=refused,
            samples=_templates,
            mutate=text_mutations.text,
        ),
        FuzzedReader(
            name="eclipse",
            read=_eclipse,
            errors=refused,
            samples=_eclipse_samples,
            mutate=text_mutations.text,
        ),
        FuzzedReader(name="table", read=_table, errors=refused, samples=_tables, mutate=text_mutations.text),
        FuzzedReader(
            name="settings",
            read=_with_file(lambda path: load_settings(path, {})),
            errors=(SettingsRefused,),
            samples=_settings,
            mutate=text_mutations.text,
        ),
    ]


def _read_series(data: bytes) -> object:
    """Read a series in which the mutated slice replaces the first one."""
    return read_ct([SourceFile(name="mutated", data=data), *ct_sources()[1:]])


def _read_structures(data: bytes) -> object:
    return masks_on_grid(read_structure_set(data), _series())


def _check(data: bytes) -> object:
    return [validate(data, profile, series=_series()) for profile in list(PROFILES.values())[:2]]


def _validate(data: bytes) -> object:
    """Run the command itself, which ends with an exit code for every file."""
    parser = argparse.ArgumentParser()
    arguments.validate(parser)
    out, error = io.StringIO(), io.StringIO()

    def run(path: Path) -> int:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
            return validate_command.run(parser.parse_args([str(path), "--json", "--ct", str(path.parent)]))

    return _with_file(run)(data)


def _eclipse(data: bytes) -> object:
    return read_eclipse(data, tuple(CATALOGUE)).toml(tuple(CATALOGUE))


def _table(data: bytes) -> object:
    return read_table(data, "table", tuple(CATALOGUE)).toml(tuple(CATALOGUE))


def _with_file(read: Callable[[Path], object]) -> Read:
    def call(data: bytes) -> object:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "mutated"
            path.write_bytes(data)
            return read(path)

    return call


@cache
def _series() -> ImageSeries:
    return read_ct(ct_sources())


def _files_of(corpus: Path | None) -> list[bytes]:
    """Return the DICOM files in a folder, cut to their beginning if they are large."""
    if corpus is None:
        return []
    paths = sorted(path for path in corpus.rglob("*") if path.is_file())
    heads = []
    for path in paths:
        with path.open("rb") as file:
            data = file.read(_LARGEST_SAMPLE_BYTES)
        if data[_META_AT - 4 : _META_AT] == b"DICM":
            heads.append(data)
    return heads


def _templates() -> list[bytes]:
    return [path.read_bytes() for path in sorted((_REPOSITORY / "deploy" / "templates").glob("*.toml"))]


def _settings() -> list[bytes]:
    names = ("settings.docker.toml", "settings.example.toml")  # settings.template.toml is not valid TOML yet
    return [(_REPOSITORY / "deploy" / name).read_bytes() for name in names]


def _tables() -> list[bytes]:
    return [
        b"name,from,type,number,colour,code_value,code_scheme,code_meaning,description,when_empty\n"
        b"Brainstem,Brainstem,ORGAN,1,#ff0000,119235005,SCT,Brain stem,the stem,omit\n"
        b"BODY,,EXTERNAL,2,0 255 0,,,,,send\n",
        "name;colour\nR\u00fcckenmark;10 20 30\nParotid_L;\n".encode("utf-8-sig"),
    ]


def _eclipse_samples() -> list[bytes]:
    structures = "".join(
        f'<Structure ID="{name}" Name="{name}"><Identification><VolumeID/><VolumeCode/><VolumeType>{kind}</VolumeType>'
        f'<VolumeCodeTable/><StructureCode Code="{code}" CodeScheme="FMA" CodeSchemeVersion="3.2"/></Identification>'
        f"<TypeIndex>2</TypeIndex><ColorAndStyle>{colour}</ColorAndStyle><SearchCTLow/><DVHLineStyle>0</DVHLineStyle>"
        "</Structure>"
        for name, kind, code, colour in (
            ("BODY", "BODY", "BODY", "RGB0 255  0"),
            ("Brainstem", "Organ", "79876", "Segment - Red"),
            ("SpinalCord", "Organ", "7647", "RGB 10 20 30"),
        )
    )
    body = (
        f'<StructureTemplate Version="1.1"><Preview ID="Head" Type="StructureTemplate"/><Structures>{structures}'
        "</Structures></StructureTemplate>"
    )
    return [
        f'<?xml version="1.0" encoding="utf-8"?>\n{body}\n'.encode(),
        f"<Protocol>{body}</Protocol>".encode(),
    ]

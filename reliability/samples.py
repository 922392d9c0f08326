"""Valid objects and files, from which mutations start."""

import io
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, RLELossless

from imaging.contours.exact import contours
from imaging.ct.series import SourceFile, read_ct
from imaging.rtstruct.writing import Producer, RoiContours, StructureSetRequest, write_structure_set
from imaging.structures import CATALOGUE
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Mask, Volume
from phantoms.dicom import CtExport, ct_files
from phantoms.dicom_modules import Identity
from reliability.wire import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT

_PLAIN = (EXPLICIT, IMPLICIT, BIG_ENDIAN)
_SHAPE = (5, 16, 18)


def ct_sources(name: str = "FUZZ") -> tuple[SourceFile, ...]:
    """Return five small slices as Part 10 files in explicit VR little endian."""
    grid = Grid(
        shape_zyx=_SHAPE,
        origin_lps=(-40.0, -40.0, 10.0),
        spacing_zyx_mm=(3.0, 4.0, 4.0),
        axes_lps=((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
    )
    array = np.full(grid.shape_zyx, -1000, np.int16)
    array[1:4, 4:12, 5:13] = 100
    return ct_files(Volume(array_zyx=array, grid=grid), CtExport(identity=Identity(patient_id=name)))


def ct_data_sets(name: str) -> Mapping[str, tuple[str, bytes]]:
    """Return, by transfer syntax, one slice's SOP Instance UID and its dataset, which has nested sequences."""
    image = dcmread(io.BytesIO(ct_sources(name)[0].data))
    inner = Dataset()
    inner.ReferencedSOPClassUID = image.SOPClassUID
    inner.ReferencedSOPInstanceUID = "1.2.3.99"
    outer = Dataset()
    outer.PurposeOfReferenceCodeSequence = Sequence([inner, Dataset()])
    image.ReferencedImageSequence = Sequence([outer, inner])
    image.ReferencedImageSequence.is_undefined_length = True
    encoded = {uid: _encoded(image, uid) for uid in _PLAIN}
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    encoded[DEFLATED] = packer.compress(encoded[EXPLICIT]) + packer.flush()
    return {uid: (str(image.SOPInstanceUID), data) for uid, data in encoded.items()}


def ct_variants() -> list[bytes]:
    """Return the first slice as a file in each transfer syntax that is tried."""
    first = ct_sources()[0].data
    found = [_in_syntax(first, uid) for uid in (*_PLAIN, DEFLATED)]
    image = dcmread(io.BytesIO(first))
    image.compress(RLELossless)
    buffer = io.BytesIO()
    dcmwrite(buffer, image)
    return [*found, buffer.getvalue()]


def structure_set_variants() -> list[bytes]:
    """Return a small structure set of the slices as a file in each transfer syntax that is tried."""
    series = read_ct(ct_sources())
    full = np.zeros(_SHAPE, bool)
    full[1:4, 4:12, 5:13] = True
    full[2, 7:9, 7:9] = False
    rois = [
        RoiContours(
            structure=CATALOGUE[code],
            name=CATALOGUE[code].name,
            contours=contours(Mask.from_full(full), series.volume.grid),
            description="",
        )
        for code in ("Brainstem", "SpinalCord")
    ]
    request = StructureSetRequest(
        series=series,
        rois=rois,
        label="FUZZ",
        description="",
        sop_instance_uid="2.25.11",
        series_instance_uid="2.25.12",
        created=datetime(2026, 1, 2, tzinfo=UTC),
        producer=Producer(
            manufacturer="Contour Node",
            model_name="Contour Node",
            software_version="0",
            algorithm_name="threshold",
            algorithm_version="1",
        ),
    )
    written = write_structure_set(request)
    return [written, *(_in_syntax(written, uid) for uid in (IMPLICIT, BIG_ENDIAN, DEFLATED))]


def _encoded(image: Dataset, transfer_syntax_uid: str) -> bytes:
    syntax = UID(transfer_syntax_uid)
    buffer = DicomBytesIO()
    buffer.is_implicit_VR = syntax.is_implicit_VR
    buffer.is_little_endian = syntax.is_little_endian
    write_dataset(buffer, Dataset(image))
    return buffer.getvalue()


def _in_syntax(file: bytes, transfer_syntax_uid: str) -> bytes:
    read = dcmread(io.BytesIO(file))
    read.decode()
    syntax = UID(transfer_syntax_uid)
    read.file_meta.TransferSyntaxUID = syntax
    buffer = io.BytesIO()
    dcmwrite(
        buffer,
        read,
        implicit_vr=syntax.is_implicit_VR,
        little_endian=syntax.is_little_endian,
        force_encoding=True,
    )
    return buffer.getvalue()

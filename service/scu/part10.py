"""The header of a stored Part 10 file: what an SCU has to propose, and where the dataset begins."""

from dataclasses import dataclass
from pathlib import Path

from pydicom.filereader import read_file_meta_info

from imaging.errors import PARSE_ERRORS
from service.errors import Refused


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """A Part 10 file, named by its File Meta Information."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str


def look_at(path: Path) -> StoredObject:
    """Return what the file holds, without reading the dataset.

    Raises:
        Refused: it is not a Part 10 file, or its File Meta Information does not identify its content.
        OSError: it cannot be read.
    """
    try:
        meta = read_file_meta_info(path)
        return StoredObject(
            path=path,
            sop_class_uid=str(meta.MediaStorageSOPClassUID),
            sop_instance_uid=str(meta.MediaStorageSOPInstanceUID),
            transfer_syntax_uid=str(meta.TransferSyntaxUID),
        )
    except OSError:
        raise
    except (MemoryError, *PARSE_ERRORS) as error:  # MemoryError: a length that no file has
        raise Refused(f"{path.name} is not a Part 10 file with a SOP class and a transfer syntax") from error

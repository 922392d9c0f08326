"""What one CT slice says about itself: the few attributes that place it in a series and in the patient."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SliceHeader:
    """One CT slice without its pixels; texts are the object's own, unpadded."""

    name: str
    sop_class_uid: str
    sop_instance_uid: str
    study_uid: str
    series_uid: str
    frame_of_reference_uid: str
    position: tuple[str, str, str]
    orientation: tuple[str, ...]
    pixel_spacing: tuple[str, str]
    rows: int
    columns: int
    patient_position: str
    gantry_tilt_deg: float | None


def parse_header(data: bytes, name: str = "") -> SliceHeader:
    """The header of one CT slice from its Part 10 file, or from the file's first bytes up to the pixels.

    Raises ImageRefused where the object is no axial CT slice that could be placed.
    """
    raise NotImplementedError

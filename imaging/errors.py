"""Why an input cannot be contoured, in words for the clinic and as a code for programs."""

import struct
import zlib
from enum import StrEnum

from pydicom.errors import BytesLengthException, InvalidDicomError

PARSE_ERRORS = (
    ArithmeticError,
    AttributeError,
    BytesLengthException,
    EOFError,
    InvalidDicomError,
    LookupError,
    NotImplementedError,
    OSError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What pydicom and its decoders raise on damaged bytes: there is no common ancestor but Exception."""


class RefusalCode(StrEnum):
    """What is wrong with an image series or a structure set; each code calls for one action."""

    UNREADABLE = "unreadable"
    NOT_CT = "not_ct"
    NOT_MR = "not_mr"
    ENHANCED = "enhanced"
    LOCALIZER = "localizer"
    NO_PIXELS = "no_pixels"
    TRUNCATED_PIXELS = "truncated_pixels"
    UNSUPPORTED_PIXELS = "unsupported_pixels"
    NOT_HOUNSFIELD = "not_hounsfield"
    NO_SIGNAL = "no_signal"
    MISSING_ATTRIBUTE = "missing_attribute"
    BAD_ATTRIBUTE = "bad_attribute"
    MIXED_PATIENTS = "mixed_patients"
    MIXED_SERIES = "mixed_series"
    MIXED_ACQUISITIONS = "mixed_acquisitions"
    MIXED_FRAMES = "mixed_frames"
    MIXED_ORIENTATION = "mixed_orientation"
    MIXED_GEOMETRY = "mixed_geometry"
    NOT_AXIAL = "not_axial"
    GANTRY_TILT = "gantry_tilt"
    DUPLICATE_SLICES = "duplicate_slices"
    MISSING_SLICES = "missing_slices"
    IRREGULAR_SPACING = "irregular_spacing"
    VARIABLE_SPACING = "variable_spacing"
    TOO_FEW_SLICES = "too_few_slices"


class ImageRefused(Exception):
    """An image series that cannot be contoured as it is: the message names the tag, the object and what to do.

    `images` are the SOP Instance UIDs of two images that contradict each other, where there are two.
    """

    def __init__(self, code: RefusalCode, message: str, *, images: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.images = images


class StructureSetUnreadable(Exception):
    """A structure set whose content contradicts itself or cannot be parsed; the message says where."""


class StructureSetNotWritable(Exception):
    """A request that cannot be written as a valid structure set; the message names the ROI or attribute."""


class DoseRefused(Exception):
    """An RT Dose object from which no dose can be read.

    The message names the file, the attribute and what was found.
    """

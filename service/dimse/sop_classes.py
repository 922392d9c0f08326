"""The accepted SOP classes and transfer syntaxes, by name (PS3.6 Annex A)."""

from collections.abc import Iterable, Mapping

VERIFICATION = "1.2.840.10008.1.1"
STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"
"""Storage Commitment Push Model: the node is its SCU, and receives the SCP's reports."""

STORAGE = {
    "CT Image Storage": "1.2.840.10008.5.1.4.1.1.2",
    "Enhanced CT Image Storage": "1.2.840.10008.5.1.4.1.1.2.1",
    "MR Image Storage": "1.2.840.10008.5.1.4.1.1.4",
    "Positron Emission Tomography Image Storage": "1.2.840.10008.5.1.4.1.1.128",
    "RT Image Storage": "1.2.840.10008.5.1.4.1.1.481.1",
    "RT Dose Storage": "1.2.840.10008.5.1.4.1.1.481.2",
    "RT Structure Set Storage": "1.2.840.10008.5.1.4.1.1.481.3",
    "RT Plan Storage": "1.2.840.10008.5.1.4.1.1.481.5",
    "RT Ion Plan Storage": "1.2.840.10008.5.1.4.1.1.481.8",
}

UNCOMPRESSED = {
    "Implicit VR Little Endian": "1.2.840.10008.1.2",
    "Explicit VR Little Endian": "1.2.840.10008.1.2.1",
    "Deflated Explicit VR Little Endian": "1.2.840.10008.1.2.1.99",
    "Explicit VR Big Endian": "1.2.840.10008.1.2.2",
}

COMPRESSED = {
    "JPEG Baseline (Process 1)": "1.2.840.10008.1.2.4.50",
    "JPEG Extended (Process 2 and 4)": "1.2.840.10008.1.2.4.51",
    "JPEG Lossless (Process 14)": "1.2.840.10008.1.2.4.57",
    "JPEG Lossless (Process 14, Selection Value 1)": "1.2.840.10008.1.2.4.70",
    "JPEG-LS Lossless": "1.2.840.10008.1.2.4.80",
    "JPEG-LS Near-Lossless": "1.2.840.10008.1.2.4.81",
    "JPEG 2000 Lossless Only": "1.2.840.10008.1.2.4.90",
    "JPEG 2000": "1.2.840.10008.1.2.4.91",
    "RLE Lossless": "1.2.840.10008.1.2.5",
}


def supported(additional_sop_classes: Iterable[str] = ()) -> Mapping[str, frozenset[str]]:
    """Return the accepted transfer syntaxes by SOP class.

    The classes are verification, storage commitment, STORAGE and the additional ones.
    """
    plain = frozenset(UNCOMPRESSED.values())
    every = plain | frozenset(COMPRESSED.values())
    return dict.fromkeys((VERIFICATION, STORAGE_COMMITMENT), plain) | dict.fromkeys(
        [*STORAGE.values(), *additional_sop_classes], every
    )

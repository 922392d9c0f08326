"""The kinds of image series that are contoured."""

from enum import StrEnum


class Modality(StrEnum):
    """The kind of a series: CT, cone-beam CT (which calls itself CT in Modality (0008,0060)), or MR."""

    CT = "CT"
    CBCT = "CBCT"
    MR = "MR"

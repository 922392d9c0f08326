"""A converter's order and answer: plain data, checked by the receiving side."""

from pathlib import Path
from typing import Any

from pydantic import Field, JsonValue

from inference.contract.model import Intensities, Modality
from inference.contract.values import ContractPart, PackageFile

Options = dict[str, JsonValue]


class ImportRequest(ContractPart):
    """An order to the child: the converter, its source and options, and the folder that it may write to."""

    importer: str
    source: Path
    options: Options = Field(default_factory=dict)
    out: Path


class ImportedLabel(ContractPart):
    """A structure by its maker's name, and its entry in the runtime's ``structures``."""

    name: str = Field(min_length=1, max_length=200)
    selects: JsonValue


class ImportDraft(ContractPart):
    """A converted model before its structures have codes."""

    runtime: dict[str, Any]  # a runtime of the contract without ``structures``
    labels: tuple[ImportedLabel, ...] = Field(min_length=1)
    modality: Modality
    intensities: Intensities
    files: tuple[PackageFile, ...] = Field(min_length=1)  # in the request's ``out``
    maker: str = Field(min_length=1)  # the format and its version, for the card
    facts: tuple[str, ...] = ()  # lines of the card
    warnings: tuple[str, ...] = ()  # what a physicist must know, on the card and on the screen
    needs_axes: bool = (
        False  # the directions of x and y are not stated: the self-test or the user must settle them
    )

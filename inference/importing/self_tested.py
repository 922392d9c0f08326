"""Orders the self-test of a built version, and settles by it the directions of x and y where they are not stated."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from inference.contract import ModelContract, NnunetRuntime
from inference.contract.values import ContractPart
from inference.errors import ImportRefused
from inference.importing.converter import ordered
from inference.importing.isolation import Limits
from inference.importing.package import write_contract

MOST_DIFFER_PERCENT = 0.2
LEAST_FOREGROUND = 1000  # voxels: with fewer, a share means nothing


class Bfloat16Test(ContractPart):
    """Voxels of the phantom that differ between bfloat16 and float32, and those of structures in float32."""

    differ: int
    foreground: int

    @property
    def passes(self) -> bool:
        """Whether enough voxels were found, and few of them differ."""
        return (
            self.foreground >= LEAST_FOREGROUND and 100 * self.differ <= MOST_DIFFER_PERCENT * self.foreground
        )

    def words(self, image: str) -> str:
        """Return a line for the card and the screen; ``image`` says what was contoured."""
        found = f"{self.differ} voxels differ of {self.foreground} in structures of {image}"
        if self.passes:
            return f"bfloat16, where the processor is faster with it: {found}, at most {MOST_DIFFER_PERCENT:g} % may"
        why = (
            f"at most {MOST_DIFFER_PERCENT:g} % may differ"
            if self.foreground >= LEAST_FOREGROUND
            else f"{LEAST_FOREGROUND} are needed to judge"
        )
        return f"float32, not bfloat16 as asked: {found}; {why}. Say --precision-on with a CT as the model was trained for"


class SelfTest(ContractPart):
    """The result of a version's self-test on the phantom.

    ``swapped`` are pairs of left and right that lie the wrong way round, ``in_order`` the others.
    """

    seconds: float
    peak_mib: float
    structures: int
    found: tuple[str, ...]
    swapped: tuple[str, ...]
    in_order: tuple[str, ...]
    axes: str | None = Field(default=None)

    @property
    def sides_are_right(self) -> bool:
        """Whether at least one pair was found and all pairs lie on the correct sides."""
        return bool(self.in_order) and not self.swapped

    def words(self) -> list[str]:
        """Return the result as lines for the card and the screen."""
        said = [
            f"self-test on a phantom: loaded and answered in {self.seconds:.1f} s with at most {self.peak_mib:.0f} MiB; "
            f"{len(self.found)} of {self.structures} structures found"
        ]
        if self.in_order:
            said.append(f"left and right lie as they should on the phantom: {'; '.join(self.in_order)}")
        if self.axes is not None:
            said.append(f"x and y run along {self.axes}: the self-test found it, the model does not state it")
        return said

    def warnings(self) -> list[str]:
        """Return what a person must check."""
        if self.swapped:
            return [
                f"on the phantom left and right lie the wrong way round: {'; '.join(self.swapped)}. Compare with the "
                "maker's own output (contour-node models test) first, and import with the other --axes if it differs"
            ]
        if not self.in_order:
            return [
                "the self-test found no pair of left and right on the phantom: compare the sides with the maker's own "
                "output (contour-node models test)"
            ]
        return []


def run_self_test(version_folder: Path, phantom: Path, limits: Limits) -> SelfTest:
    """Let the version contour the phantom in a child process; ImportRefused where it does not run."""
    order = {"version_folder": str(version_folder), "phantom": str(phantom)}
    answer, _ = ordered("self_test", order, limits)
    try:
        return SelfTest.model_validate(answer)
    except ValidationError as error:
        raise ImportRefused(f"the self-test's answer is not valid: {error}") from error


def settle_precision(
    contract: ModelContract, version_folder: Path, image: tuple[Path, str], limits: Limits
) -> tuple[ModelContract, str | None]:
    """Keep bfloat16 in an nnU-Net's contract only if it was measured to change little; return it with a remark.

    ``image``: a file in the self-test's format, and what it shows.
    """
    runtime = contract.runtime
    if not isinstance(runtime, NnunetRuntime) or runtime.precision != "bfloat16":
        return contract, None
    order = {"version_folder": str(version_folder), "phantom": str(image[0])}
    answer, _ = ordered("compare_bfloat16", order, limits)
    try:
        test = Bfloat16Test.model_validate(answer)
    except ValidationError as error:
        raise ImportRefused(f"the answer of the bfloat16 comparison is not valid: {error}") from error
    if not test.passes:
        kept = runtime.model_copy(update={"precision": "float32"})
        contract = contract.model_copy(update={"runtime": kept})
        write_contract(contract, version_folder)
    return contract, test.words(image[1])


def settle_axes(
    contract: ModelContract, version_folder: Path, test: Callable[[], SelfTest], *, needs_axes: bool
) -> tuple[ModelContract, SelfTest]:
    """Test a version as it is and, where its axes are unknown or left and right are swapped, with turned axes too.

    Raises ImportRefused where that does not settle the axes: then the user must give ``--axes``.
    """
    as_it_is = test()
    if not isinstance(contract.runtime, NnunetRuntime) or not (needs_axes or as_it_is.swapped):
        return contract, as_it_is
    turned = _turned(contract)
    write_contract(turned, version_folder)
    other = test()
    if other.sides_are_right and not as_it_is.sides_are_right:
        if needs_axes:
            return turned, other.model_copy(update={"axes": _axes(turned)})
        raise ImportRefused(
            f"left and right lie the wrong way round on the phantom with the axes of the model's reader, "
            f"{_axes(contract)}, and the right way with {_axes(turned)}: say --axes {_axes(turned)}, or --axes "
            f"{_axes(contract)} if you know better"
        )
    write_contract(contract, version_folder)
    if needs_axes and not (as_it_is.sides_are_right and not other.sides_are_right):
        raise ImportRefused(
            "the model does not state how x and y run in its images, and the self-test could not tell: say --axes LPS "
            "(as DICOM and SimpleITK have them) or --axes RAS (as nibabel's canonical images)"
        )
    found = {"axes": _axes(contract)} if needs_axes else {}
    return contract, as_it_is.model_copy(update=found)


def _turned(contract: ModelContract) -> ModelContract:
    axes = "RAS" if _axes(contract) == "LPS" else "LPS"
    return contract.model_copy(update={"runtime": contract.runtime.model_copy(update={"axes": axes})})


def _axes(contract: ModelContract) -> Any:
    assert isinstance(contract.runtime, NnunetRuntime)  # the caller checked
    return contract.runtime.axes

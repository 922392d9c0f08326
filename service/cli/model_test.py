"""The act `models test`: compare a served model's output with the original model's, image by image."""

import argparse
from collections.abc import Mapping
from dataclasses import asdict

from evaluation.errors import EvaluationRefused
from evaluation.maker_answers import AnswerRow, answer_rows, read_answer, read_image
from evaluation.maker_pairs import MakerPair, maker_pairs
from imaging.ct.series import ImageSeries, read_images
from imaging.errors import ImageRefused
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Volume
from inference.contract import ModelContract
from inference.segment import Predictor, segment
from service.cli.local_cases import model_server
from service.cli.model_arguments import LABELS, same_names
from service.cli.output import print_table, say, say_json, warn
from service.errors import Refused

COLUMNS = ("image", "structure", "voxels that differ", "percent", "Dice", "cc", "maker's cc")


def run_test(arguments: argparse.Namespace) -> int:
    """Contour every image and compare; return 1 if a structure differs by more than the tolerance, else 0."""
    try:
        same = same_names(arguments.same, LABELS, may_be_empty=True)
        pairs = maker_pairs(arguments.images, arguments.against)
        rows: list[AnswerRow] = []
        missing: dict[str, None] = {}
        rounded: list[str] = []
        with model_server(arguments.settings_tree, arguments.model, arguments.version, may_start=True) as (
            server,
            contract,
        ):
            for pair in pairs:
                found, is_rounded = _compared(pair, contract, server, same)
                rows += found
                rounded += [pair.name] if is_rounded else []
                missing |= dict.fromkeys(set(contract.labels) - {row.code for row in found})
    except EvaluationRefused as reason:
        raise Refused(str(reason)) from reason
    failed = [row for row in rows if row.differing_percent > arguments.tolerance]
    if arguments.json:
        said = {"passed": not failed, "rows": [_json(row) for row in rows]}
        say_json(said | {"not_compared": sorted(missing), "rounded": rounded})
    else:
        _say(rows, failed, sorted(missing), contract, arguments.tolerance)
    if rounded:
        warn(
            f"contour-node models test: {', '.join(rounded)}: values between whole HU were rounded, since this node takes "
            "CTs in whole HU; voxels can differ for that alone. Give both programs images of whole HU to be sure"
        )
    return 1 if failed else 0


def _compared(
    pair: MakerPair, contract: ModelContract, server: Predictor, same: Mapping[str, str]
) -> tuple[list[AnswerRow], bool]:
    """Contour one image on the path that jobs take, without plausibility checks, and compare.

    Also return whether its values were rounded.
    """
    image, volume, is_rounded = _read(pair, contract)
    reference = read_answer(pair.reference, image, contract, same)
    return answer_rows(pair.name, segment(volume, contract, server).masks, reference), is_rounded


def _read(pair: MakerPair, contract: ModelContract) -> tuple[ImageSeries | Grid, Volume, bool]:
    if not pair.series_uid:
        volume, is_rounded = read_image(pair.files[0], is_hu=contract.in_hounsfield_units)
        return volume.grid, volume, is_rounded
    try:
        series = read_images(pair.sources())
    except ImageRefused as reason:
        raise Refused(f"{pair.name}: {reason.message}") from reason
    if not contract.takes(series.modality):
        taken = ", ".join(dict.fromkeys(accepted.modality for accepted in contract.inputs))
        raise Refused(f"{pair.name}: the series is {series.modality}, but {contract.name} takes {taken}")
    return series, series.volume, False


def _json(row: AnswerRow) -> dict[str, object]:
    percent = row.differing_percent
    return {**asdict(row), "differing_percent": None if percent == float("inf") else percent}


def _say(
    rows: list[AnswerRow],
    failed: list[AnswerRow],
    missing: list[str],
    contract: ModelContract,
    tolerance: float,
) -> None:
    print_table(
        COLUMNS,
        [
            (
                row.image,
                row.code,
                row.differing_voxels,
                f"{row.differing_percent:.3f}",
                "-" if row.dice is None else f"{row.dice:.4f}",
                f"{row.volume_cc:.2f}",
                f"{row.reference_cc:.2f}",
            )
            for row in rows
        ],
    )
    if missing:
        say(f"not compared, no label in the original output: {', '.join(missing)}")
    voxels = sum(row.differing_voxels for row in rows)
    model = f"{contract.name} version {contract.version}"
    say(f"{model}: {voxels} voxels differ in {len(rows)} structures; allowed: {tolerance:g} % of each")
    for row in failed:
        warn(f"contour-node models test: {row.image}, {row.code}: {row.differing_percent:.3f} % differ")

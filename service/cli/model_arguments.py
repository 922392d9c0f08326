"""Arguments of the verb `models`: its acts, and the formats of foreign models that it imports."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from service.errors import Refused

BODY_REGIONS = ("head", "head_neck", "thorax", "abdomen", "pelvis", "extremity", "whole_body")

LABELS = "LABEL=CODE, or LABEL= to leave it out"


def same_names(words: Sequence[str], expected: str, *, may_be_empty: bool = False) -> dict[str, str]:
    """Read the pairs of ``--same``, NAME=OTHER each; Refused, with what was expected, if one is not a pair."""
    found = {}
    for word in words:
        name, equals, other = word.partition("=")
        if not (name and equals and (other or may_be_empty)):
            raise Refused(f"--same {word}: expected {expected}")
        found[name] = other
    return found


def models(parser: argparse.ArgumentParser) -> None:
    """Add the acts of the verb `models`."""
    acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
    listed = acts.add_parser("list", help="list models and versions: which is the default, which are loaded")
    listed.add_argument("--json", action="store_true", help="print JSON")
    for act, what in (
        ("show", "print the contract of a version"),
        ("load", "load a version into the model server now"),
        ("unload", "remove a model, or one version of it, from the server's memory"),
    ):
        act_parser = acts.add_parser(act, help=what)
        act_parser.add_argument("model", help="the model's name")
        every = "all versions" if act == "unload" else "the default version"
        act_parser.add_argument("--version", type=int, help=f"default: {every}")
    default = acts.add_parser("default", help="choose the version that new jobs use")
    default.add_argument("model", help="the model's name")
    default.add_argument("version", type=int, help="the version's number")
    config = acts.add_parser("config", help="write Triton's config.pbtxt from the contracts")
    config.add_argument("model", nargs="*", help="names of models (default: all)")
    published = acts.add_parser(
        "publish", help="publish a finished training run as the next version of its model"
    )
    published.add_argument("run", type=Path, help="the run's folder")
    data = published.add_mutually_exclusive_group(required=True)
    data.add_argument(
        "--data", type=Path, help="the prepared dataset; predictions are compared on two of its CTs"
    )
    data.add_argument("--openkbp", type=Path, help="the OpenKBP developer set")
    published.add_argument("--weights", choices=("best", "last"), default="best", help="default: best")
    convert = acts.add_parser(
        "convert", help="convert a spec.json of older program versions to contract.json"
    )
    convert.add_argument("folder", type=Path, help="the model's folder, with spec.json")
    convert.add_argument(
        "--body-region",
        required=True,
        choices=BODY_REGIONS,
        help="the part of the body that the model is for",
    )
    _remove(acts.add_parser("remove", help="remove a version, or the whole model, from the repository"))
    what = "compare a served model's output with that of the original model"
    _test(acts.add_parser("test", help=what, description=what))
    what = "learn plausibility limits from local cases, and write them into a version's contract"
    _calibrate(acts.add_parser("calibrate", help=what, description=what))
    _import(acts.add_parser("import", help="import a model of another format into this node's repository"))


def _remove(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="the model's name")
    parser.add_argument("--version", type=int, help="default: all versions, that is, the whole model")


def _test(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="the model's name")
    parser.add_argument("--version", type=int, help="default: the default version")
    parser.add_argument(
        "--images", type=Path, required=True, metavar="FOLDER", help="NIfTI files, or DICOM series"
    )
    what = (
        "the original model's output: label maps, folders of masks, or structure sets, named like the images"
    )
    parser.add_argument("--against", type=Path, required=True, metavar="FOLDER", help=what)
    what = "voxels of a structure that may differ, in percent of the original's (default: 0)"
    parser.add_argument("--tolerance", type=float, default=0.0, metavar="PERCENT", help=what)
    what = "map a label of the original model to this structure, or (LABEL=) leave it out; may be repeated"
    parser.add_argument("--same", action="append", default=[], metavar="LABEL=CODE", help=what)
    parser.add_argument("--json", action="store_true", help="print JSON")


def _calibrate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="the model's name")
    parser.add_argument("--version", type=int, help="default: the default version")
    what = "folder with <case>/ct and <case>/<reference set> for each patient, as for commission"
    parser.add_argument("--cases", type=Path, required=True, metavar="FOLDER", help=what)
    what = "the reference set: an RTSTRUCT, a mask or a folder of masks (default: reference)"
    parser.add_argument("--reference-set", default="reference", metavar="NAME", help=what)
    what = "map a drawn name to this structure, or (NAME=) leave it out; may be repeated"
    parser.add_argument("--same", action="append", default=[], metavar="NAME=CODE", help=what)
    parser.add_argument("--dry-run", action="store_true", help="print the limits; write nothing")


def _import(parser: argparse.ArgumentParser) -> None:
    formats = parser.add_subparsers(dest="format", required=True, metavar="FORMAT")
    for name, (what, add) in FORMATS.items():
        format_parser = formats.add_parser(name, help=what, description=what)
        format_parser.add_argument(
            "source", type=Path, help="folder, zip or file as published by its authors"
        )
        add(format_parser)
        _answers(format_parser)


def _answers(parser: argparse.ArgumentParser) -> None:
    """Add the options of every format; on a terminal, the program asks for those left out."""
    parser.add_argument("--name", required=True, help="the model's name here: a-z, 0-9 and _")
    parser.add_argument(
        "--body-region", choices=BODY_REGIONS, help="the part of the body that the model is for"
    )
    parser.add_argument("--licence", help="licence of the weights, not of the code that made them")
    parser.add_argument("--data", help="what the model was trained on")
    parser.add_argument("--citation", help="the citation that its authors ask for")
    parser.add_argument("--description", help="one sentence")
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="CSV",
        help="names of its structures; if the file does not exist, it is written for you to edit",
    )
    parser.add_argument(
        "--memory-gib", type=float, default=16.0, help="memory limit of the import (default: 16)"
    )


def _nnunet(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--configuration", help="2d, 3d_lowres or 3d_fullres, if the source has several")
    parser.add_argument("--folds", nargs="+", help="folds to average (default: all folds found)")
    _nnunet_images(parser)


def _totalsegmentator(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--task", required=True, help="total, total_mr, head_glands_cavities and so on")
    parser.add_argument(
        "--mode", choices=("default", "fast", "fastest"), default="default", help="its voxels"
    )
    parser.add_argument(
        "--resampling-order",
        type=int,
        choices=(1, 3),
        default=1,
        help="1 as in version 2.18, 3 as in earlier ones",
    )
    parser.add_argument("--folds", nargs="+", help="folds to average (default: those of the task)")
    _precision(parser)


def _nnunet_images(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--axes",
        choices=("LPS", "RAS"),
        help="axis directions of its images (default: according to its reader)",
    )
    parser.add_argument("--modality", choices=("CT", "CBCT", "MR"), help="where it does not tell")
    _precision(parser)


def _precision(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--precision",
        choices=("float32", "bfloat16"),
        default="float32",
        help="bfloat16 is kept where it is measured to change next to nothing (default: float32)",
    )
    parser.add_argument(
        "--precision-on",
        type=Path,
        metavar="CT",
        help="the image on which that is measured: a folder of DICOM or a NIfTI file (default: a phantom)",
    )


def _monai_bundle(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--modality", choices=("CT", "CBCT", "MR"), help="where it does not tell")


def _with_spec(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--spec",
        type=_absolute,
        required=True,
        metavar="TOML",
        help="what the file does not state: docs/models.md",
    )


def _absolute(text: str) -> Path:
    return Path(text).resolve()


# Each format: its description, and the function that adds its own arguments, which become the converter's options.
FORMATS: Mapping[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "nnunet": ("a trained nnU-Net v2 folder, or the zip of nnUNetv2_export_model_to_zip", _nnunet),
    "totalsegmentator": (
        "a task of TotalSegmentator: its folder nnunet/results, or the parts of it that the task needs",
        _totalsegmentator,
    ),
    "monai-bundle": ("a MONAI bundle: its folder or zip file", _monai_bundle),
    "torchscript": ("a TorchScript file, with a specification of its images and labels", _with_spec),
    "onnx": ("an ONNX file, with a specification of its images and labels", _with_spec),
}

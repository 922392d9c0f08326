"""Arguments of the larger verbs.

A separate module, so that parsing a command line does not import the verbs' implementations.
"""

import argparse
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from imaging.export.profiles import PROFILES

if TYPE_CHECKING:
    from service.store import TrailHead

DEFAULT_PROJECT = "research"
STUDIES = ("all", "rectal", "lung", "cervix", "head-neck", "dice")


def job_changes(
    rerun: argparse.ArgumentParser, priority: argparse.ArgumentParser, resend: argparse.ArgumentParser
) -> None:
    """Add the arguments of the verbs that change a job and take more than its number."""
    for verb in (rerun, priority, resend):
        verb.add_argument("job", type=int, help="the job's number")
    rerun.add_argument(
        "--rule", default="", help="use this rule, its template and destinations, whichever rules match"
    )
    rerun.add_argument("--model", default="", help="use this model instead of the rule's")
    rerun.add_argument(
        "--model-version", type=int, metavar="N", help="version of --model (default: its default version)"
    )
    priority.add_argument("priority", type=int, help="0 to 100; the highest runs first")
    resend.add_argument("destination", help="the destination's name in the settings")


def retention(retention: argparse.ArgumentParser, verify: argparse.ArgumentParser) -> None:
    """Add the arguments of the verbs `retention` and `verify`."""
    retention.add_argument(
        "--dry-run", action="store_true", help="list what would be removed now and why; remove nothing"
    )
    sure = "confirm the clock when the node doubts it; the role then goes on removing files"
    retention.add_argument("--clock-is-right", action="store_true", help=sure)
    what = verify.add_mutually_exclusive_group()
    what.add_argument("--all", action="store_true", help="every stored file, even those verified recently")
    what.add_argument("--job", type=int, metavar="N", help="the images of this job and what was made for it")


def research(out: argparse.ArgumentParser, back: argparse.ArgumentParser) -> None:
    """Add the arguments of the verbs `deidentify` and `reidentify`."""
    what = out.add_mutually_exclusive_group(required=True)
    what.add_argument("--job", type=int, metavar="N", help="the images of this job and what was made for it")
    what.add_argument("--series", metavar="UID", help="everything stored of this series")
    what.add_argument("--audit", type=Path, metavar="FOLDER", help="search copies for remaining identifiers")
    out.add_argument(
        "--original",
        action="append",
        default=[],
        type=Path,
        metavar="PATH",
        help="with --audit: a file or folder with the identifiers to search for",
    )
    out.add_argument(
        "--identifiers",
        type=Path,
        metavar="FILE",
        help="with --audit: a list of names (Family^Given), numbers and UIDs, one per line",
    )
    out.add_argument(
        "--basic", action="store_true", help="the Basic Profile without any option: no dates, no ages"
    )
    out.add_argument(
        "--keep-name", action="append", default=[], metavar="NAME", help="an ROI name without a person's name"
    )
    out.add_argument("--allow-burned-in", action="store_true", help="a person has checked the pixels")
    back.add_argument("files", nargs="+", type=Path, help="structure sets drawn on research copies")
    for verb in (out, back):
        verb.add_argument("--out", type=Path, required=verb is back, help="folder to write to")
        verb.add_argument("--project", default=DEFAULT_PROJECT, help=f"default: {DEFAULT_PROJECT}")


def audit(verb: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb `audit`."""
    verb.add_argument("--since", type=_time, help="from this time on (ISO 8601; UTC where no zone is given)")
    verb.add_argument("--until", type=_time, help="before this time")
    verb.add_argument("--study", help="only this Study Instance UID")
    verb.add_argument("--limit", type=int, default=200, help="at most this many, the newest (default: 200)")
    verb.add_argument("--xml", action="store_true", help="print DICOM audit messages, one per line")
    verb.add_argument("--verify", action="store_true", help="prove that no entry was changed")
    verb.add_argument(
        "--expect",
        action="append",
        default=[],
        type=_trail_head,
        metavar="ID:HASH",
        help="with --verify: an entry noted elsewhere that must exist; may be repeated",
    )


def validate(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb `validate`."""
    parser.add_argument("file", type=Path, help="an RT Structure Set file")
    parser.add_argument(
        "--profile",
        choices=sorted(PROFILES),
        default="standard",
        help="the destination's profile (default: standard)",
    )
    parser.add_argument("--ct", type=Path, help="folder with the CT, to check planes and references against")
    parser.add_argument("--json", action="store_true", help="print JSON")


def evaluate(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb `evaluate`."""
    what = "an RTSTRUCT file, an image mask (NIfTI), a folder with one RTSTRUCT or with masks, or a folder of patients"
    parser.add_argument(
        "found", type=Path, help=f"the contours under evaluation: {what}; or the word 'cohort'"
    )
    parser.add_argument(
        "reference", type=Path, help="the contours to compare with, given likewise; or the cohort's folder"
    )
    parser.add_argument("--ct", type=Path, help="folder of the CT (default: the CT in the RTSTRUCT's folder)")
    parser.add_argument(
        "--tolerance-mm",
        type=_positive,
        nargs="+",
        default=[1.0, 2.0, 3.0],
        help="tolerances for surface Dice, surface overlap and the length to redraw (default: 1 2 3)",
    )
    parser.add_argument(
        "--same",
        action="append",
        default=[],
        metavar="NAME=NAME",
        help="two names of one structure: its name in the first set and in the reference; may be repeated",
    )
    parser.add_argument(
        "--dose", type=Path, help="an RT Dose file, or an image in Gy: DVH and dose differences"
    )
    parser.add_argument(
        "--dose-at-gy", type=_positive, nargs="+", default=[], metavar="GY", help="also Vx at these doses"
    )
    parser.add_argument("--slices", action="store_true", help="with --json: also values of each axial slice")
    parser.add_argument("--json", action="store_true", help="print every metric under its full name")
    _evaluate_cohort(parser.add_argument_group("cohorts and reports"))


def _evaluate_cohort(group: "argparse._ArgumentGroup") -> None:
    group.add_argument("--out", type=Path, help="folder for values (CSV, JSON) and pages (HTML, PDF)")
    group.add_argument(
        "--reference-set", default="reference", metavar="NAME", help="of a cohort folder (default: reference)"
    )
    group.add_argument(
        "--readers", nargs="+", default=[], metavar="SET", help="sets of different readers: STAPLE"
    )
    group.add_argument("--study", choices=STUDIES, default="all", help="whose tables to print (default: all)")
    group.add_argument(
        "--margin", action="append", default=[], metavar="METRIC=VALUE", help="test non-inferiority of sets"
    )
    group.add_argument(
        "--effort",
        type=Path,
        help="CSV of timed corrections: patient,set,structure,edit_minutes,manual_minutes",
    )
    group.add_argument("--processes", type=int, default=2, help="patients evaluated in parallel (default: 2)")
    group.add_argument("--no-pdf", action="store_true", help="write only HTML: a third of the time")


def commission(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb `commission`."""
    parser.add_argument("cases", type=Path, help="folder of cases: <case>/ct, <case>/reference.dcm or masks")
    parser.add_argument("--criteria", type=Path, required=True, help="acceptance criteria (TOML)")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for masks, values and the page to sign"
    )
    parser.add_argument("--reference-set", default="reference", metavar="NAME", help="default: reference")
    parser.add_argument("--processes", type=int, default=2, help="cases evaluated in parallel (default: 2)")


def constancy(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb `constancy`."""
    parser.add_argument("cases", type=Path, help="folder of frozen cases: <case>/ct each")
    parser.add_argument("--model", required=True, help="the model's name")
    parser.add_argument(
        "--freeze", action="store_true", help="keep the present contours as those to reproduce"
    )
    parser.add_argument("--replace", action="store_true", help="with --freeze: also replace frozen cases")


def settings(parser: argparse.ArgumentParser) -> None:
    """Add the acts of the verb to its parser."""
    acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
    show = acts.add_parser("show", help="print every setting in force, without passwords")
    show.add_argument("--settings", dest="file", type=Path, help="the settings file (TOML)")
    migrate = acts.add_parser("migrate", help="rewrite a file of an earlier version")
    migrate.add_argument("file", type=Path, help="the old file (TOML)")
    migrate.add_argument("-o", "--output", type=Path, help="the new file (default: standard output)")


def template(parser: argparse.ArgumentParser) -> None:
    """Add the acts of the verb to its parser."""
    acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
    check = acts.add_parser("check", help="validate a template and show what would be delivered")
    check.add_argument("file", type=Path, help="the template (TOML)")
    for act, what in (
        ("import-eclipse", "Eclipse's structure template (XML)"),
        ("import-csv", "a table (CSV)"),
    ):
        importer = acts.add_parser(act, help=f"make a template from {what}")
        importer.add_argument("file", type=Path, help=what)
        importer.add_argument("-o", "--output", type=Path, required=True, help="the template to write (TOML)")
        importer.add_argument("--overwrite", action="store_true", help="replace the output if it exists")
    for act_parser in acts.choices.values():
        act_parser.add_argument(
            "--model", help="folder name of a model (default: all structures of the catalogue)"
        )


def pull(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb `pull`."""
    parser.add_argument("--peer", required=True, help="the archive's name under [peers]")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--accession", type=_given, help="Accession Number (0008,0050)")
    which.add_argument("--patient-id", type=_given, help="Patient ID (0010,0020)")
    which.add_argument("--study", type=_given, help="Study Instance UID (0020,000D)")
    parser.add_argument(
        "--series-description", type=_pattern, help="regular expression (case ignored) to find in (0008,103E)"
    )
    parser.add_argument("--modality", default="CT", help="only series of this modality (default: CT)")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--move-to", help="AE title for C-MOVE (default: this node's own)")
    how.add_argument("--get", action="store_true", help="C-GET, for an archive that does not know this node")
    parser.add_argument("--all", action="store_true", help="even if several patients match")
    parser.add_argument("--dry-run", action="store_true", help="list what would be fetched; fetch nothing")
    parser.add_argument("--timeout-s", type=float, default=300, help="longest silence of the archive, in s")


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def _given(text: str) -> str:
    if not text.strip(" *?"):
        raise argparse.ArgumentTypeError("an empty value would match every study")
    return text


def _pattern(text: str) -> "re.Pattern[str]":
    try:
        return re.compile(text, re.IGNORECASE)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"not a regular expression: {error}") from error


def _trail_head(text: str) -> "TrailHead":
    from service.store import TrailHead

    number, _, chain = text.partition(":")
    if not number.isdecimal() or not re.fullmatch("[0-9a-f]{64}", chain):
        raise argparse.ArgumentTypeError(f"{text}: expected ID:HASH, as `audit --verify` prints it")
    return TrailHead(id=int(number), chain=chain)


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def web_admin(verb: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb `web-admin`."""
    verb.add_argument("name_of_user", metavar="NAME", nargs="?", help="name of the user or program")
    roles = ("viewer", "operator", "physicist", "admin")
    verb.add_argument("--role", choices=roles, default="admin", help="what the user may do (default: admin)")
    verb.add_argument("--without-patients", action="store_true", help="hide patients' names and IDs")
    scopes = ("read", "read:patients", "operate", "rules", "audit", "dicomweb:read", "dicomweb:store")
    what = "make a token that allows the program NAME to do this; may be repeated"
    verb.add_argument("--token", action="append", default=[], choices=scopes, help=what)
    verb.add_argument("--days", type=int, default=365, help="how long the token is valid (default: 365)")
    verb.add_argument("--revoke-token", action="store_true", help="revoke the token of the program NAME")
    verb.add_argument("--tokens", action="store_true", help="list the tokens")

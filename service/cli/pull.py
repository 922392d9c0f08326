"""`contour-node pull`: fetch series from an archive by accession number, patient or study, to be contoured."""

import argparse
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from service.cli.output import print_table, say_json
from service.components import cget_receiver, opened_store, rule_book
from service.config import Peer, Settings
from service.dimse import sop_classes
from service.errors import Refused
from service.receive import object_families
from service.receive.cget_receiver import CGetReceiver
from service.scu.client import Scu
from service.scu.find import FoundSeries, find_series, find_studies
from service.scu.outcome import Failure
from service.scu.retrieve import AcceptedObjects, OnProgress, RequestedSeries, RetrievalProgress, get, move
from service.text import shown

Answer = TypeVar("Answer")

DONE, FAILED = 0, 1
KEYS = {"accession": "AccessionNumber", "patient_id": "PatientID", "study": "StudyInstanceUID"}
COLUMNS = ("date", "modality", "description", "images", "series_uid", "result")


@dataclass(frozen=True, kw_only=True)
class PullRequest:
    """Which peer is asked for what, and how it sends the images."""

    settings: Settings
    peer: Peer
    client: Scu
    to_aet: str | None  # None: use C-GET

    def comes_here(self, called_aets: Collection[str]) -> bool:
        """Tell whether the images are sent to this node, which answers to these AE titles."""
        return self.to_aet in (None, *called_aets)


@dataclass(frozen=True, kw_only=True)
class PulledSeries:
    """A series and the outcome of fetching it."""

    series: FoundSeries
    date: str
    result: RetrievalProgress | None = None


def run(arguments: argparse.Namespace) -> int:
    """Fetch what matches; return 0 if everything came, 1 if not, or if nothing matches."""
    settings: Settings = arguments.settings_tree
    pull = PullRequest(
        settings=settings,
        peer=_peer(settings, arguments.peer),
        client=Scu(calling_aet=settings.send.ae_title, timeout_s=arguments.timeout_s),
        to_aet=None if arguments.get else arguments.move_to or settings.receive.ae_title,
    )
    rows = _found(pull, arguments)
    if not arguments.dry_run:
        rows = _fetched(pull, rows, is_shown=not arguments.json)
    _print(rows, as_json=arguments.json)
    whole = all(row.result is None or not (row.result.failed or row.result.reason) for row in rows)
    return DONE if whole else FAILED


def _peer(settings: Settings, name: str) -> Peer:
    peer = settings.peers.get(name)
    if not isinstance(peer, Peer):
        known = ", ".join(settings.dicom_peers) or "none"
        raise Refused(f"no DICOM peer {name} in the settings; there are: {known}")
    return peer


def _found(pull: PullRequest, arguments: argparse.Namespace) -> list[PulledSeries]:
    """Return the matching series, newest study first; Refused if there are none, or too many patients."""
    keys = {keyword: value for name, keyword in KEYS.items() if (value := vars(arguments)[name]) is not None}
    studies = _answer(find_studies(pull.client, pull.peer, keys))
    patients = len({study.patient for study in studies})
    if patients > 1 and not arguments.all:
        raise Refused(
            f"{patients} patients in {pull.peer.ae_title} match; narrow the query, or give --all to fetch them all"
        )
    rows = [
        PulledSeries(series=series, date=study.date)
        for study in sorted(studies, key=lambda study: study.date, reverse=True)
        for series in _answer(find_series(pull.client, pull.peer, study_uid=study.study_uid))
        if series.modality == arguments.modality and _describes(arguments.series_description, series)
    ]
    if not rows:
        raise Refused(
            f"{pull.peer.ae_title} has {len(studies)} matching studies, but no matching series in them"
        )
    return rows


def _describes(pattern: "re.Pattern[str] | None", series: FoundSeries) -> bool:
    return pattern is None or pattern.search(series.description) is not None


def _answer(found: list[Answer] | Failure) -> list[Answer]:
    if isinstance(found, Failure):
        raise Refused(found.reason)
    return found


def _fetched(pull: PullRequest, rows: Sequence[PulledSeries], *, is_shown: bool) -> list[PulledSeries]:
    with (
        opened_store(pull.settings) as store,
        cget_receiver(pull.peer, pull.settings, store) if pull.to_aet is None else nullcontext() as fetched,
        _progress(is_shown) as progress,
    ):
        done = []
        called = rule_book(pull.settings, store.database).current().settings.called_aets
        for row in rows:
            task = progress.add_task(
                escape(shown(row.series.description or row.series.series_uid)), total=row.series.images
            )

            def on_progress(so_far: RetrievalProgress, task: object = task) -> None:
                total = so_far.completed + so_far.failed + so_far.remaining
                progress.update(task, completed=so_far.completed, total=total)  # type: ignore[arg-type]

            result = _one(pull, row.series, fetched, on_progress)
            if pull.comes_here(called):
                series_uid, study_uid = row.series.series_uid, row.series.study_uid
                here = store.book.instances_of_series(series_uid, study_uid=study_uid)
                result = _checked(result, len(here))
            on_progress(result)
            done.append(replace(row, result=result))
        return done


def _one(
    pull: PullRequest, series: FoundSeries, fetched: CGetReceiver | None, on_progress: OnProgress
) -> RetrievalProgress:
    wanted = RequestedSeries(study_uid=series.study_uid, series_uid=series.series_uid)
    if fetched is None:
        to_aet = pull.to_aet or pull.settings.receive.ae_title
        return _came_of(move(pull.client, pull.peer, wanted, to_aet=to_aet, on_progress=on_progress))
    taken = AcceptedObjects(
        sop_classes=(*sop_classes.STORAGE.values(), *object_families.companions(pull.settings.receive)),
        compressed=tuple(sop_classes.COMPRESSED.values()),
    )
    result = _came_of(
        get(pull.client, pull.peer, wanted, keep=fetched.keep, taken=taken, on_progress=on_progress)
    )
    reasons = (result.reason, fetched.refusals())
    return replace(result, reason="; ".join(reason for reason in reasons if reason))


def _came_of(answer: RetrievalProgress | Failure) -> RetrievalProgress:
    return RetrievalProgress(reason=answer.reason) if isinstance(answer, Failure) else answer


def _checked(result: RetrievalProgress, kept: int) -> RetrievalProgress:
    """Compare the archive's report with the images stored by this node."""
    if result.reason or kept >= result.completed:
        return result
    reason = (
        f"{result.completed} images were sent, {kept} are stored here: does the archive send to another node?"
    )
    return replace(result, reason=reason)


@contextmanager
def _progress(is_shown: bool) -> Iterator[Progress]:  # noqa: FBT001 - the only argument
    with Progress(console=Console(stderr=True), disable=not is_shown) as progress:
        yield progress


def _print(rows: Sequence[PulledSeries], *, as_json: bool) -> None:
    lines = [_line(row) for row in rows]
    if as_json:
        say_json(lines)
        return
    print_table(COLUMNS, [[line[column] for column in COLUMNS] for line in lines])


def _line(row: PulledSeries) -> dict[str, object]:
    """Return a series as a table row or JSON, without patient data."""
    series, result = row.series, row.result
    return {
        "date": row.date,
        "study_uid": series.study_uid,
        "series_uid": series.series_uid,
        "modality": series.modality,
        "description": series.description,
        "images": "" if series.images is None else series.images,
        "fetched": None if result is None else result.completed,
        "failed": None if result is None else result.failed,
        "result": "" if result is None else _result(result),
    }


def _result(result: RetrievalProgress) -> str:
    failed = f", {result.failed} failed" if result.failed else ""
    return f"{result.completed} fetched{failed}" + (f": {result.reason}" if result.reason else "")

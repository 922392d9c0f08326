"""What verbs print: uncut where a program reads it, and nothing of what a stranger sends is markup or control."""

import json
import sqlite3
from pathlib import Path

import pytest

from service.cli.main import main
from service.cli.output import print_table, say, say_json, warn
from service.config import load_settings
from service.monitor.messages import message_of
from service.store import AuditEvent, AuditKind, AuditLog, Database, InstanceRecorder, JobState, Notification
from service.store.jobs.structure_results import StructureFinding, StructureResult, replace_structure_results
from service.text import shown
from tests.support.arrivals import Node
from tests.support.clock import ManualClock

HOSTILE = (
    "[/q]",
    "[b]PACS",
    "[link=http://x]here[/link]",
    "\x1b[2J\x1b]0;owned\x07",
    "\x9b31m",
    "a\rb",
    "a\nforged: line",
    "\u202egnp.exe",
    "\u2066x\u2069",
    "\u2028",
    "\ud800",
    "\x7f",
    "\ufeff",
    "\\",
)
EVERYTHING = " ".join(HOSTILE).replace("\ud800", "")  # no database, and no command line, holds a surrogate


def test_what_another_program_reads_is_not_cut(capsys):
    uid = "1.2.826.0.1.3680043.8.498.10815501780690798350063047830940703664"
    print_table(("series", "study", "reason"), [(uid, uid, "incomplete: " + "z=-134.5 mm, " * 6)])
    assert capsys.readouterr().out.count(uid) == 2


@pytest.mark.parametrize("text", HOSTILE)
def test_what_does_not_print_is_shown_and_markup_is_text(text: str, capsys) -> None:
    print_table((text, "b"), [(text, None)], title=text)
    say(text)
    warn(text)
    say_json(text)
    printed = capsys.readouterr()
    assert_harmless(printed.out + printed.err)
    assert printed.out.splitlines()[-2] == printed.err.removesuffix("\n") == shown(text)
    assert printed.out.count(shown(text)) >= 4


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    """A node to which strangers said everything that they could, wherever a stranger's words are kept."""
    file = tmp_path / "settings.toml"
    file.write_text(f'[node]\nstorage_dir = "{tmp_path / "store"}"\n')
    assert main(["migrate", "--settings", str(file)]) == 0
    place = load_settings(file, {}).database_url
    database = Database(place)
    with InstanceRecorder(database) as recorder:
        node = Node(database=database, clock=ManualClock(), recorder=recorder)
        number = node.job_in(JobState.DELIVERING)
    said = EVERYTHING
    event = AuditEvent(kind=AuditKind.REFUSED, actor=said, address=said, target=said, detail=said)
    AuditLog(database).append([(node.clock(), event)])
    finding = StructureFinding(
        check="x", measured=1, expected=(0, 1), relative_to="", is_implausible=True, words=said
    )
    result = StructureResult(
        code="x",
        name=said[:64],
        is_sent=True,
        volume_cc=1,
        slices=1,
        pieces=1,
        mean_probability=None,
        edges=(),
        findings=(finding,),
        trust=None,
    )
    with database.writing() as connection:
        replace_structure_results(connection, number, [result])
    database.close()
    with sqlite3.connect(place.removeprefix("sqlite:///")) as raw:
        raw.execute("UPDATE job SET reason = ?, stage = ?, calling_aet = '[b]PACS'", (said, said[:32]))
        raw.execute("UPDATE delivery SET reason = ?, note = ?, destination = ?", (said, said, said[:64]))
        raw.execute("UPDATE job_event SET message = ?", (said,))
        raw.execute("UPDATE instance SET peer_host = ?, series_uid = series_uid", (said,))
    raw.close()
    return file


VERBS = (
    ["jobs"],
    ["show", "1"],
    ["events", "1"],
    ["audit"],
    ["audit", "--xml"],
    ["health"],
    ["health", "--role", EVERYTHING],
    ["verify", "--all"],
    ["retention", "--dry-run"],
    ["retry", "1"],
    ["rerun", "1"],
    ["cancel", "1"],
    ["echo", EVERYTHING],
    ["notify-test", EVERYTHING],
    ["pull", "--peer", EVERYTHING, "--study", "1.2.3"],
    ["deidentify", "--series", EVERYTHING, "--out", "nowhere"],
    ["jobs", "--state", EVERYTHING],
)


@pytest.mark.parametrize(
    "words", VERBS, ids=lambda words: " ".join(words)[:20].encode("ascii", "ignore").decode()
)
def test_no_verb_can_be_broken_by_what_a_stranger_said(words, settings_file: Path, capsys) -> None:
    capsys.readouterr()
    assert main([*words, "--settings", str(settings_file)]) in (0, 1)
    printed = capsys.readouterr()
    assert_harmless(printed.out + printed.err)
    if words[0] in ("audit", "events", "show"):
        assert "[/q]" in printed.out
        assert "\\x1b[2J" in printed.out or "\\\\x1b[2J" in printed.out or "&#" in printed.out
    if words == ["jobs"]:
        assert "[b]PACS" in printed.out
    with_json = [*words, "--json", "--settings", str(settings_file)]
    if words[0] in ("jobs", "show", "events", "audit") and words[-1] != "--xml" and EVERYTHING not in words:
        assert main(with_json) == 0
        json.loads(capsys.readouterr().out)


def test_a_notification_says_it_on_one_line_of_its_own() -> None:
    said = Notification(
        id=1,
        event=EVERYTHING,
        job_id=None,
        rule="",
        state="",
        text=EVERYTHING,
        at=ManualClock()(),
        attempts=0,
    )
    message = message_of([said], {})
    assert_harmless(message.text())
    assert "forged: line" not in message.text().splitlines()


def assert_harmless(printed: str) -> None:
    assert [c for c in printed if not c.isprintable() and c != "\n"] == []
    assert not any(line.startswith("forged") for line in printed.splitlines())

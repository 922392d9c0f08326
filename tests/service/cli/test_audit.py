import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from service.cli.main import main
from service.store import (
    AuditLog,
    Database,
    InstanceRecorder,
    JobState,
    StructureFinding,
    StructureResult,
    upgrade,
)
from service.store.jobs.structure_results import replace_structure_results
from tests.support.arrivals import Node
from tests.support.audit_schema import violations
from tests.support.clock import ManualClock


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    file = tmp_path / "settings.toml"
    file.write_text(f'[node]\nstorage_dir = "{tmp_path / "store"}"\n')
    return file


@pytest.fixture
def job_id(tmp_path: Path, settings_file: Path) -> int:
    """The number of a job that was refused."""
    url = f"sqlite:///{tmp_path / 'store' / 'contour-node.sqlite'}"
    upgrade(url)
    database = Database(url)
    with InstanceRecorder(database) as recorder:
        node = Node(database=database, clock=ManualClock(), recorder=recorder)
        number = node.job_in(JobState.REFUSED)
    database.close()
    return number


def listed(settings_file: Path, capsys: pytest.CaptureFixture[str], *more: str) -> list[dict[str, object]]:
    capsys.readouterr()
    assert main(["audit", "--settings", str(settings_file), "--json", *more]) == 0
    return json.loads(capsys.readouterr().out)


def test_who_looks_and_who_orders_stands_in_the_trail(settings_file, job_id, capsys) -> None:
    with_settings = ["--settings", str(settings_file)]
    assert main(["show", str(job_id), *with_settings]) == 0
    assert main(["retry", str(job_id), *with_settings]) == 0
    assert main(["rerun", str(job_id), *with_settings]) == 1  # it is open again: not allowed
    assert main(["cancel", "4711", *with_settings]) == 1
    found = listed(settings_file, capsys)
    assert [(e["kind"], e["target"], e["job_id"], e["outcome"]) for e in found] == [
        ("looked at", "show", job_id, "0"),
        ("ordered", "retry", job_id, "0"),
        ("ordered", "rerun", job_id, "4"),
        ("ordered", "cancel", 4711, "4"),
    ]
    assert all(e["actor"] and e["role"] == "cli" for e in found)
    assert [e["study_uid"] for e in found] == ["1.2.3", "1.2.3", "1.2.3", ""]


def test_show_prints_the_structures_of_a_job_with_their_findings(
    settings_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], job_id: int
) -> None:
    finding = StructureFinding(
        check="volume_cc",
        measured=1.25,
        expected=(10.0, 50.0),
        relative_to="",
        is_implausible=True,
        words="volume 1.25 cc, expected 10 to 50 cc",
    )
    larynx = StructureResult(
        code="Larynx",
        name="Kehlkopf",
        is_sent=False,
        volume_cc=1.25,
        slices=4,
        pieces=2,
        mean_probability=0.875,
        edges=("inferior",),
        findings=(finding,),
        trust=0.25,
    )
    database = Database(f"sqlite:///{tmp_path / 'store' / 'contour-node.sqlite'}")
    with database.writing() as connection:
        replace_structure_results(connection, job_id, [larynx])
    database.close()
    with_settings = ["--settings", str(settings_file)]
    capsys.readouterr()
    assert main(["show", str(job_id), *with_settings, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["structures"] == [
        {
            "code": "Larynx",
            "name": "Kehlkopf",
            "is_sent": False,
            "volume_cc": 1.25,
            "slices": 4,
            "pieces": 2,
            "mean_probability": 0.875,
            "edges": ["inferior"],
            "findings": [
                {
                    "check": "volume_cc",
                    "measured": 1.25,
                    "expected": [10.0, 50.0],
                    "relative_to": "",
                    "is_implausible": True,
                    "words": "volume 1.25 cc, expected 10 to 50 cc",
                }
            ],
            "trust": 0.25,
        }
    ]
    assert main(["show", str(job_id), *with_settings]) == 0
    (line,) = [one for one in capsys.readouterr().out.splitlines() if "Kehlkopf" in one]
    cells = [cell.strip() for cell in line.strip("│┃| ").replace("|", "│").split("│")]
    assert cells == ["Kehlkopf", "Larynx", "no", "1.25", "4", "2", "0.88", "0.25", "inferior", finding.words]


def test_the_trail_is_listed_by_time_and_as_messages(settings_file, job_id, capsys) -> None:
    main(["events", str(job_id), "--settings", str(settings_file)])
    assert listed(settings_file, capsys, "--since", "2100-01-01") == []
    assert len(listed(settings_file, capsys, "--since", "2020-01-01T00:00:00+01:00", "--study", "1.2.3")) == 1
    assert main(["audit", "--settings", str(settings_file), "--xml"]) == 0
    line, *_ = capsys.readouterr().out.splitlines()
    assert violations(ElementTree.fromstring(line)) == []


def test_every_look_is_the_next_entry_of_the_trail(settings_file, job_id, capsys, tmp_path) -> None:
    with_settings = ["--settings", str(settings_file)]
    assert listed(settings_file, capsys) == []
    for words, code in (
        (["jobs", "--state", "done"], 0),
        (["verify", "--job", str(job_id)], 1),
        (["retention", "--dry-run"], 0),
    ):
        assert main([*words, *with_settings]) == code
    found = listed(settings_file, capsys, "--study", "9.9")
    assert found == []
    kinds = [(e["kind"], e["target"], e["job_id"], e["detail"]) for e in listed(settings_file, capsys)]
    assert kinds == [
        ("looked at", "audit", None, ""),
        ("looked at", "jobs", None, "done"),
        ("looked at", "verify", job_id, "its files"),
        ("looked at", "retention --dry-run", None, ""),
        ("looked at", "audit", None, "study_uid 9.9"),
    ]
    database = Database(f"sqlite:///{tmp_path / 'store' / 'contour-node.sqlite'}")
    assert AuditLog(database).check().broken == ""
    database.close()

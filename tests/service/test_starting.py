"""Starting for real: where the store is, who has it, who has the port, and what a damaged database says."""

import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from inference.ports import free_port, free_ports
from service.cli import main
from service.components import opened_store
from service.config import SettingsRefused, load_settings
from service.errors import Refused
from service.ports import expect_free, holder_of
from service.store.files.owner import owned

ROOT = Path(__file__).parents[2]
READING = (
    ["jobs"],
    ["show", "1"],
    ["events", "1"],
    ["retry", "1"],
    ["rerun", "1"],
    ["cancel", "1"],
    ["audit"],
    ["verify"],
    ["retention", "--dry-run"],
    ["deidentify", "--job", "1", "--out", "x"],
    ["check"],
    ["health"],
)


def settings_file(folder: Path, storage: str = "store", **receive: object) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / "settings.toml"
    ports = "".join(f"{name} = {value}\n" for name, value in receive.items())
    file.write_text(
        f'[node]\nstorage_dir = "{storage}"\n[receive]\nhost = "127.0.0.1"\n{ports}[monitor]\nport = 0\n'
    )
    return file


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    yield folder
    assert list(folder.iterdir()) == []


def test_a_relative_path_is_read_from_the_settings_file(tmp_path: Path, elsewhere: Path) -> None:
    file = settings_file(tmp_path / "node", "data/../store")
    settings = load_settings(file, {"CONTOUR_NODE_MONITOR__TOKEN_FILE": "token"})
    assert settings.node.storage_dir == tmp_path / "node" / "data/../store"
    assert settings.monitor.token_file == tmp_path / "node" / "token"
    default = tmp_path / "node" / "bare.toml"
    default.write_text("")
    assert load_settings(default, {}).node.storage_dir == tmp_path / "node" / "contour-node-data"
    assert main(["migrate", "--settings", f"../node/{file.name}"]) == 0
    assert (tmp_path / "node" / "store" / "contour-node.sqlite").exists()


def test_without_a_settings_file_a_relative_store_is_refused(elsewhere: Path) -> None:
    settings = load_settings(None, {})
    with pytest.raises(SettingsRefused, match="contour-node init"), opened_store(settings, may_create=True):
        pass


def test_a_relative_sqlite_file_is_refused() -> None:
    with pytest.raises(SettingsRefused, match="needs its absolute path"):
        load_settings(None, {"CONTOUR_NODE_DATABASE__URL": "sqlite:///node.sqlite"})


@pytest.mark.parametrize("verb", READING, ids=lambda verb: verb[0])
def test_a_verb_that_reads_makes_no_store(
    tmp_path: Path, elsewhere: Path, capsys: pytest.CaptureFixture[str], verb: list[str]
) -> None:
    file = settings_file(tmp_path / "node")
    assert main([*verb, "--settings", str(file)]) == 1
    assert "there is no node's store at" in capsys.readouterr().err
    assert [path.name for path in file.parent.iterdir()] == ["settings.toml"]


def test_a_verb_that_reads_an_older_database_says_so_and_does_not_migrate_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = settings_file(tmp_path)
    assert main(["migrate", "--settings", str(file)]) == 0
    database = tmp_path / "store" / "contour-node.sqlite"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    capsys.readouterr()
    for verb in READING:
        assert main([*verb, "--settings", str(file)]) == 1
        assert "`contour-node migrate`" in capsys.readouterr().err
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
    assert list(database.parent.glob("*.schema-*")) == []


@pytest.mark.parametrize("damage", ["garbage", "hole", "truncated"])
@pytest.mark.parametrize("verb", READING, ids=lambda verb: verb[0])
def test_a_damaged_database_is_said_in_words_with_what_to_do(
    tmp_path: Path, elsewhere: Path, capsys: pytest.CaptureFixture[str], verb: list[str], damage: str
) -> None:
    file = settings_file(tmp_path / "node")
    assert main(["migrate", "--settings", str(file)]) == 0
    database = tmp_path / "node" / "store" / "contour-node.sqlite"
    data = bytearray(database.read_bytes())
    if damage == "garbage":
        data[:] = b"\x5a" * len(data)
    elif damage == "hole":
        data[100:-4096] = b"\x5a" * (len(data) - 4196)
    else:
        del data[8192:]
    database.write_bytes(data)
    for leftover in ("-wal", "-shm"):
        database.with_name(database.name + leftover).unlink(missing_ok=True)
    capsys.readouterr()
    code = main([*verb, "--settings", str(file)])
    said = capsys.readouterr().err
    assert code == 1
    assert "is damaged" in said
    assert "docs/operations.md" in said
    assert "Traceback" not in said


@pytest.mark.network
def test_a_port_that_is_taken_is_named_with_its_setting_and_its_holder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        with pytest.raises(
            Refused, match=rf"port {port} \(receive\.port\): it is in use by process {os.getpid()} "
        ):
            expect_free("127.0.0.1", port, "receive.port")
        file = settings_file(tmp_path / "node", port=port)
        for verb in ("serve", "receive"):
            assert main([verb, "--settings", str(file)]) == 1
            said = capsys.readouterr().err
            assert f"port {port} (receive.port)" in said
            assert f"process {os.getpid()}" in said
    assert holder_of(free_port()) is None


def test_one_node_has_a_storage_folder_and_its_own_roles_beside_it(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from service.store.files.owner import owned\n"
        "from service.errors import Refused\n"
        "try:\n"
        "    with owned(Path(sys.argv[1]), alone=sys.argv[2] == 'alone'): print('has it')\n"
        "except Refused as reason: print(reason)\n"
    )

    def other(how: str, *, child: bool = True) -> str:
        command = [sys.executable, "-c", code, str(tmp_path), how]
        if not child:
            command = ["sh", "-c", '"$@"; true', "sh", *command]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    with owned(tmp_path, alone=True):
        assert f"another node uses the storage folder {tmp_path} (process {os.getpid()}" in other("alone")
        assert other("shared") == "has it", "a role that the node started"
        assert "another node uses" in other("shared", child=False)
    with owned(tmp_path, alone=False):
        assert other("shared") == "has it", "roles as processes of their own"
        assert "end them" in other("alone")
    assert other("alone") == "has it"


@pytest.mark.network
def test_a_second_node_on_the_same_folder_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    ports = free_ports(2)
    first, second = (
        settings_file(tmp_path / name, str(tmp_path / "store"), port=port)
        for name, port in zip("ab", ports, strict=True)
    )
    for file in (first, second):
        with file.open("a") as target:
            target.write('[triton]\nurl = "127.0.0.1:1"\n')
    command = [sys.executable, "-m", "service", "serve", "--settings"]
    with subprocess.Popen([*command, first], cwd=ROOT, stderr=subprocess.DEVNULL) as node:
        try:
            deadline = time.monotonic() + 200
            lock = tmp_path / "store" / "owner.lock"
            while not lock.exists() or not lock.read_text():
                assert node.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
            ran = subprocess.run([*command, second], cwd=ROOT, capture_output=True, text=True, timeout=200)
            assert ran.returncode == 1
            assert "another node uses the storage folder" in ran.stderr
            assert node.poll() is None
        finally:
            node.terminate()

"""What the node writes is its user's alone; what others could change or read is warned of."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from service.cli import main
from service.config import load_settings, loose_files
from tests.support.second_user import READABLE_OR_WRITABLE, UID, open_folder, second_user

ROOT = Path(__file__).parents[2]


def settings_file(folder: Path, more: str = "") -> Path:
    file = folder / "settings.toml"
    file.write_text(f'[node]\nstorage_dir = "{folder / "store"}"\n{more}')
    file.chmod(0o600)
    return file


def test_another_user_can_open_nothing_that_the_node_wrote() -> None:
    with open_folder() as folder:
        (folder / "store").mkdir(mode=0o755)  # as an administrator makes it
        file = settings_file(folder)
        node = [sys.executable, "-m", "service"]
        for verb in (["migrate"], ["jobs"]):
            subprocess.run(
                ["sh", "-c", 'umask 000; exec "$@"', "sh", *node, *verb, "--settings", str(file)],
                cwd=ROOT, check=True, capture_output=True,
            )  # fmt: skip
        assert (folder / "store" / "contour-node.sqlite").exists()
        assert second_user(READABLE_OR_WRITABLE, folder, "*") == ""
        assert [
            path for path in (folder / "store").rglob("*") if stat.S_IMODE(path.stat().st_mode) & 0o077
        ] == []


def test_a_folder_of_an_earlier_version_is_closed() -> None:
    with open_folder() as folder:
        file = settings_file(folder)
        assert main(["migrate", "--settings", str(file)]) == 0
        store = folder / "store"
        store.chmod(0o755)
        (store / "contour-node.sqlite").chmod(0o644)
        assert second_user(READABLE_OR_WRITABLE, store, "*") != ""
        assert main(["migrate", "--settings", str(file)]) == 0
        assert second_user(READABLE_OR_WRITABLE, store, "*") == ""


def test_check_warns_of_each_file_that_another_could_change_or_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = tmp_path / "token"
    token.write_text("secret")
    token.chmod(0o600)
    file = settings_file(tmp_path, f'[monitor]\ntoken_file = "{token}"\n')
    settings = load_settings(file, {})
    assert loose_files(file, settings) == []

    file.chmod(0o666)
    token.chmod(0o644)
    found = loose_files(file, settings)
    assert [(str(path) in line, words in line) for path, words, line in zip(
        (file, token), ("can be changed by other users", "is open to every user"), found, strict=True
    )] == [(True, True)] * 2  # fmt: skip

    file.chmod(0o600)
    token.chmod(0o600)
    tmp_path.chmod(0o777)
    assert all("can replace it" in line for line in loose_files(file, settings))
    assert len(loose_files(file, settings)) == 2
    tmp_path.chmod(0o700)
    if os.geteuid() == 0:
        os.chown(token, UID, UID)
        assert any(f"belongs to user {UID}" in line for line in loose_files(file, settings))

    assert main(["migrate", "--settings", str(file)]) == 0
    file.chmod(0o622)
    main(["check", "--settings", str(file)])
    assert f"WARNING: {file}" in capsys.readouterr().out


def test_what_root_writes_into_the_services_store_is_the_services() -> None:
    with open_folder() as folder:
        file, store = settings_file(folder), folder / "store"
        if os.geteuid() != 0:
            pytest.skip("only root can act on another user's store")
        store.mkdir(mode=0o700)
        os.chown(store, UID, UID)
        assert main(["health", "--settings", str(file)]) == 1  # a look makes no store
        assert list(store.iterdir()) == []
        assert main(["migrate", "--settings", str(file)]) == 0
        backup = folder / "backups"
        assert main(["backup", str(backup), "--images", "--settings", str(file)]) == 0
        for path in store.glob("contour-node.sqlite*"):
            path.unlink()
        (made,) = backup.glob("20*")
        assert main(["restore", str(made), "--settings", str(file)]) == 0
        assert {path.stat().st_uid for path in store.rglob("*")} == {UID}
        assert (store / "contour-node.sqlite").exists()
        assert (
            loose_files(file, load_settings(file, {})) == []
        )  # nobody is told to take the store from the service
        assert main(["check", "--settings", str(file)]) == 1  # its model server could not read root's memory
        assert main(["serve", "--settings", str(file)]) == 1  # it would go on writing as root
        assert main(["receive", "--settings", str(file)]) == 1

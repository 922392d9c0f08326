"""`init` writes settings that work on this host, and a service that is closed to others."""

import os
import socket
import stat
import sys
from pathlib import Path

import pytest

from inference.installation import INSTALLED, install_server
from service.cli import main
from service.config import load_settings
from tests.support.second_user import open_folder, second_user


def written(folder: Path, *arguments: str) -> Path:
    assert main(["init", "--into", str(folder), *arguments]) == 0
    return folder / "settings.toml"


def test_the_file_is_valid_private_and_says_where_things_are(tmp_path: Path) -> None:
    file = written(tmp_path / "node", "--ae-title", "CLINIC", "--tps", "ARIA@10.1.2.3:104")
    settings = load_settings(file, {})
    assert settings.node.storage_dir == tmp_path / "node" / "store"
    assert (settings.receive.ae_title, settings.send.ae_title) == ("CLINIC", "CLINIC")
    assert settings.dicom_peers["tps"].host == "10.1.2.3"
    assert [rule.model for rule in settings.rules] == ["hn_oar"]
    assert settings.sqlite_file is not None
    assert settings.triton.embedded
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_without_a_planning_system_the_file_is_valid_too_and_shows_how_one_is_named(tmp_path: Path) -> None:
    file = written(tmp_path)
    assert load_settings(file, {}).rules == ()
    uncommented = file.read_text().replace("# [peers.tps]", "[peers.tps]")
    assert "# [[rules]]" in uncommented


@pytest.mark.parametrize("is_installed", [True, False])
def test_the_next_step_is_setup_only_where_no_model_server_is_installed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, is_installed: bool
) -> None:
    server = tmp_path / "triton"
    if is_installed:
        server.mkdir()
    monkeypatch.setattr("service.cli.install.triton_environment", lambda: server)
    file = written(tmp_path / "node")
    setup = "" if is_installed else "contour-node setup, once; then "
    assert f"next: {setup}contour-node serve --settings {file}" in capsys.readouterr().out


def test_a_file_that_exists_is_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path)
    file.write_text("mine")
    assert main(["init", "--into", str(tmp_path)]) == 1
    assert "exists" in capsys.readouterr().err
    assert file.read_text() == "mine"


@pytest.mark.parametrize("tps", ["ARIA", "ARIA@10.1.2.3", "ARIA@10.1.2.3:99999", "@host:104"])
def test_a_planning_system_that_cannot_be_meant_is_refused_and_nothing_written(
    tmp_path: Path, tps: str
) -> None:
    assert main(["init", "--into", str(tmp_path / "node"), "--tps", tps]) == 2
    assert not (tmp_path / "node").exists()


@pytest.mark.network
def test_a_port_that_somebody_has_is_not_chosen(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("", 11112))
        except OSError:
            pass  # somebody else has it: just as well
        else:
            taken.listen(1)
        file = written(tmp_path)
        assert load_settings(file, {}).receive.port > 11112
        assert "11112 was in use" in file.read_text()


def test_the_service_is_hardened_rotated_and_starts_this_program(tmp_path: Path) -> None:
    assert main(["init", "--system", "--root", str(tmp_path)]) == 0
    unit = (tmp_path / "etc/systemd/system/contour-node.service").read_text()
    lines = unit.splitlines()
    (start,) = [line for line in lines if line.startswith("ExecStart=")]
    assert start.endswith("serve --settings /etc/contour-node/settings.toml")
    assert Path(start.removeprefix("ExecStart=").split()[0]).is_absolute()
    for line in (
        "User=contour-node",
        "UMask=0077",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "StateDirectoryMode=0700",
    ):
        assert line in lines
    assert "@" not in unit
    assert (
        "/var/lib/contour-node/triton/triton.log" in (tmp_path / "etc/logrotate.d/contour-node").read_text()
    )
    settings = load_settings(tmp_path / "etc/contour-node/settings.toml", {})
    assert settings.node.storage_dir == Path("/var/lib/contour-node")
    assert stat.S_IMODE((tmp_path / "etc").stat().st_mode) == 0o755


def test_setup_is_for_the_embedded_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "node.toml"
    file.write_text('[triton]\nurl = "gpu:8001"\n')
    assert main(["setup", "--settings", str(file)]) == 1
    assert "the server at triton.url is installed where it runs" in capsys.readouterr().err


READS = """
import os, sys
print(open(os.path.join(sys.argv[1], "lib", "module.py")).read(), flush=True)
os.execv(os.path.join(sys.argv[1], "bin", "python"), ["python", "-c", "print('runs')"])
"""


def test_the_services_user_can_run_what_root_installed_with_a_closed_umask(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = os.umask(0o077)
    try:
        with open_folder() as folder:
            monkeypatch.setattr(sys, "prefix", str(folder / "program"))
            environment = folder / "program" / "share" / "contour-node" / "triton"
            for name in ("bin", "lib"):
                (environment / name).mkdir(parents=True)
            (environment / "lib" / "module.py").write_text("words")
            program = environment / "bin" / "python"
            program.write_text("#!/bin/sh\necho runs\n")
            program.chmod(0o700)
            (environment / INSTALLED).touch()
            assert not install_server(environment, folder, python=sys.executable, say=print)
            assert second_user(READS, environment).split() == ["words", "runs"]
    finally:
        os.umask(before)

import sys
import threading
from pathlib import Path

from service.supervise import Role, role_command, supervise
from tests.support.node import until


def role(name: str, program: str) -> Role:
    return Role(name=name, arguments=(sys.executable, "-c", program))


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def test_a_role_that_dies_is_started_again_and_the_others_go_on(tmp_path: Path) -> None:
    dying, steady = tmp_path / "dying", tmp_path / "steady"
    note = "open({!r}, 'a').write('started\\n')"
    roles = [
        role("dying", note.format(str(dying))),
        role("steady", note.format(str(steady)) + "; import time; time.sleep(60)"),
    ]
    stop = threading.Event()
    thread = threading.Thread(target=supervise, args=(roles, stop, 0.05))
    thread.start()
    try:
        until(lambda: len(lines(dying)) >= 2, seconds=30, why="the dying role is started a second time")
        assert len(lines(steady)) == 1
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()


def test_a_stop_lets_a_role_end_what_it_is_doing(tmp_path: Path) -> None:
    file = tmp_path / "log"
    program = (
        "import signal, sys, time\n"
        f"log = open({str(file)!r}, 'a', buffering=1)\n"
        "signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.3), log.write('ended well\\n'), sys.exit(0)))\n"
        "log.write('ready\\n')\n"
        "time.sleep(60)\n"
    )
    stop = threading.Event()
    thread = threading.Thread(target=supervise, args=([role("careful", program)], stop, 0.05))
    thread.start()
    until(lambda: lines(file) == ["ready"], seconds=30, why="the role is ready")

    stop.set()
    thread.join(30)

    assert lines(file) == ["ready", "ended well"]


def test_a_roles_command_is_this_interpreter_with_these_settings() -> None:
    assert role_command(("work",), Path("s.toml")) == (
        sys.executable, "-m", "service", "work", "--settings", "s.toml",
    )  # fmt: skip
    assert role_command(("work",), None) == (sys.executable, "-m", "service", "work")

"""Parse the command line; exit code 0: done, 1: failed, 2: wrong usage or wrong settings."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from pkgutil import resolve_name

from inference.errors import ServerNotStarted
from service.cli import arguments as takes
from service.cli import model_arguments
from service.cli import upkeep_arguments as upkeep
from service.cli.output import warn
from service.cli.store_owner import given_back
from service.config import SettingsRefused, load_settings, process_environment
from service.errors import Refused, TryAgain

EVALUATION_LIBRARIES = frozenset({"SimpleITK", "jinja2", "matplotlib", "statsmodels", "weasyprint"})
RENAMED_COMMANDS = {"keep": "retention", "watch": "monitor", "lint": "validate"}
Command = Callable[[argparse.Namespace], int]


class WrongCommand(Exception):
    """The command line names a command that does not exist."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; an expected failure prints one line on standard error, never a traceback."""
    os.umask(0o077)  # files may hold patient data: only this user may read them
    words = sys.argv[1:] if arguments is None else arguments
    try:
        _refuse_renamed(words)
        parsed = _parser().parse_args(_with_rest_apart(words))
        parsed.words = tuple(words)
        if "settings" in parsed:
            parsed.settings_tree = load_settings(parsed.settings, process_environment())
        # Import by name: only what this verb needs, nothing of the others.
        command: Command = resolve_name(f"service.cli.{parsed.command}")
        return _run(command, parsed)
    except (SettingsRefused, WrongCommand) as reason:
        return _said(reason, 2)
    except ModuleNotFoundError as missing:
        if missing.name not in EVALUATION_LIBRARIES:
            raise
        return _said(f"{missing.name} is not installed: pip install 'contour-node[evaluation]'", 2)
    except (Refused, TryAgain, ServerNotStarted, OSError) as reason:
        return _said(reason, 1)
    except KeyboardInterrupt:
        return 130


def _run(command: Command, parsed: argparse.Namespace) -> int:
    if "settings_tree" not in parsed:
        return command(parsed)
    with given_back(parsed.settings_tree.node.storage_dir):
        return command(parsed)


def _refuse_renamed(words: Sequence[str]) -> None:
    if words and words[0] in RENAMED_COMMANDS:
        raise WrongCommand(f"the command {words[0]} is now called {RENAMED_COMMANDS[words[0]]}")


def _with_rest_apart(arguments: Sequence[str]) -> list[str]:
    """Insert `--` after a verb whose options another process parses."""
    return [*arguments[:1], "--", *arguments[1:]] if arguments[:1] == ["train"] else list(arguments)


def _said(reason: BaseException | str, code: int) -> int:
    lines = str(reason).splitlines() if isinstance(reason, SettingsRefused) else [reason]
    warn(*(f"contour-node: {line}" for line in lines[:1]), *lines[1:])
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="contour-node",
        description="Contours radiotherapy CT and MR and returns RT Structure Sets. For research use.",
    )
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, what in (
        ("serve", "roles:serve", "run the whole node: every role as a child process"),
        ("receive", "roles:run", "run the role that receives images"),
        ("assemble", "roles:run", "run the role that decides when a series is complete"),
        ("work", "roles:run", "run the role that contours"),
        ("send", "roles:run", "run the role that delivers structure sets"),
        ("monitor", "roles:run", "run the role that serves metrics and health and sends notifications"),
        ("web", "roles:run", "run the role that serves the web page"),
        ("forward-audit", "roles:run", "run the role that forwards the audit trail"),
        ("triton", "roles:run", "run the embedded model server"),
        ("migrate", "check:migrate", "create the node's database, or upgrade it to this version's schema"),
        ("check", "check:check", "validate settings, database, models and the model server"),
    ):
        _verb(verbs, name, run, what)
    _install_verbs(verbs)
    _admin_verbs(verbs)
    takes.research(
        _verb(
            verbs,
            "deidentify",
            "research:deidentify",
            "write de-identified research copies of stored objects (PS3.15 E)",
        ),
        _verb(
            verbs,
            "reidentify",
            "research:reidentify",
            "restore the patient in structure sets drawn on research copies",
        ),
    )
    takes.retention(
        _verb(
            verbs,
            "retention",
            "retention:retention",
            "run the role that removes expired files and verifies the others",
            json=True,
        ),
        _verb(verbs, "verify", "retention:verify", "compare stored files with their checksums", json=True),
    )
    _monitor_verbs(verbs)
    _upkeep_verbs(verbs)
    what = "versions of the rules: list, check a text, activate it, roll back"
    upkeep.rules(_verb(verbs, "rules", "rules:run", what))
    takes.web_admin(
        _verb(verbs, "web-admin", "web_admin:run", "users of the web page, and tokens of programs")
    )
    takes.audit(_verb(verbs, "audit", "audit:run", "list the audit trail", json=True))
    _validate_verb(verbs)
    _settings_verb(verbs)
    _evaluate_verb(verbs)
    model_arguments.models(
        _verb(
            verbs,
            "models",
            "models:run",
            "list, load, import, test and calibrate models; choose the default version",
        )
    )
    what = "contour local cases and compare with acceptance criteria: a report to sign"
    takes.commission(_verb(verbs, "commission", "commission:run", what))
    what = "contour frozen cases again: any changed voxel is an alarm"
    takes.constancy(_verb(verbs, "constancy", "constancy:run", what, json=True))
    takes.template(_verb(verbs, "template", "template:run", "check a structure template, or import one"))
    what = "fetch series from an archive, by accession number, patient or study"
    takes.pull(_verb(verbs, "pull", "pull:run", what, json=True))
    _train_verb(verbs)
    demo = _verb(
        verbs,
        "demo",
        "roles:demo",
        "send a phantom CT through the whole node and draw the structure set that comes back",
    )
    demo.add_argument("--ct", type=Path, help="folder with your own CT series (default: a phantom)")
    demo.add_argument(
        "--keep", action="store_true", help="leave the node and its web page running until Ctrl-C"
    )
    demo.add_argument("--out", type=Path, default=Path("demo"), help="folder to write to (default: demo)")
    return parser


def _install_verbs(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verbs that install a node on this host: `init`, which needs no settings, and `setup`."""
    what = "write a settings file for this host; with --system, set up the service"
    init = verbs.add_parser("init", help=what, description=what)
    init.set_defaults(command="install:init", name="init")
    where = init.add_mutually_exclusive_group()
    where.add_argument("--into", type=Path, default=Path(), help="folder for the file (default: here)")
    what = "as root: /etc/contour-node, /var/lib/contour-node, the service's user, its systemd unit and log rotation"
    where.add_argument("--system", action="store_true", help=what)
    init.add_argument("--ae-title", default="CONTOURNODE", help="the node's AE title (default: %(default)s)")
    init.add_argument(
        "--tps", metavar="AE@HOST:PORT", help="the planning system that receives the structure sets"
    )
    what = "with --system: write below this folder, to build an image"
    init.add_argument("--root", type=Path, default=Path("/"), help=what)
    setup = _verb(verbs, "setup", "install:setup", "install the embedded model server, once")
    what = "Python interpreter for the new environment (default: this program's)"
    setup.add_argument("--python", default="", help=what)


def _admin_verbs(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    jobs = _verb(verbs, "jobs", "admin:jobs", "list jobs, newest first", json=True)
    jobs.add_argument("--state", action="append", default=[], help="only jobs in this state; may be repeated")
    jobs.add_argument(
        "--purpose",
        action="append",
        default=[],
        help="only clinical, shadow or evaluation jobs; may be repeated",
    )
    jobs.add_argument("--limit", type=int, default=50, help="at most this many jobs (default: 50)")
    for name, run, what in (
        ("show", "admin:show", "show one job with its artifacts, deliveries and structures"),
        ("events", "admin:events", "show a job's history"),
        ("retry", "admin:retry", "try a failed or refused job again"),
        ("cancel", "admin:cancel", "stop a job"),
    ):
        _verb(verbs, name, run, what, json=True).add_argument("job", type=int, help="the job's number")
    takes.job_changes(
        _verb(verbs, "rerun", "admin:rerun", "contour a job's series again, as a new version", json=True),
        _verb(verbs, "priority", "admin:priority", "change a job's priority", json=True),
        _verb(verbs, "resend", "admin:resend", "send a job's objects to a destination once more", json=True),
    )
    what = "send now what waits for a destination, without waiting for its next attempt"
    now = _verb(verbs, "send-now", "admin:send_now", what, json=True)
    now.add_argument("destination", help="the destination's name in the settings")
    echo = _verb(verbs, "echo", "admin:echo", "test the connection to a peer (C-ECHO)", json=True)
    echo.add_argument("destination", help="the peer's name in the settings")


def _upkeep_verbs(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    what = "back up the database, and the stored files if asked, while the node runs"
    made = _verb(verbs, "backup", "backup:backup", what, json=True)
    what = "restore a node from a backup into an empty database, and list missing files"
    back = _verb(verbs, "restore", "backup:restore", what, json=True)
    upkeep.backup(made, back)
    what = "decide what happens when database and storage folder do not match: show, cancel or deliver"
    upkeep.recover(_verb(verbs, "recover", "recover:recover", what, json=True))
    what = "remove a series or a patient, so that corrected images with the same UIDs can be received"
    upkeep.forget(_verb(verbs, "forget", "forget:forget", what, json=True))


def _monitor_verbs(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    health = _verb(
        verbs, "health", "health:health", "check the running node once; exit code 0: ready", json=True
    )
    health.add_argument("--role", help="check only whether this role is running on this machine")
    told = _verb(
        verbs,
        "notify-test",
        "health:notify_test",
        "send a test message to a configured recipient",
    )
    told.add_argument("recipient", help="the recipient's name in monitor.notify")


def _settings_verb(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb for the settings file itself."""
    what = "show the settings in force, or rewrite a file of an earlier version"
    verb = verbs.add_parser("settings", help=what, description=what)
    takes.settings(verb)
    verb.set_defaults(command="settings:run", name="settings")


def _validate_verb(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb that needs no settings: it checks one file."""
    what = "validate an RT Structure Set file from any system against a destination's profile"
    verb = verbs.add_parser("validate", help=what, description=what)
    takes.validate(verb)
    verb.set_defaults(command="validate:run", name="validate")


def _train_verb(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb whose arguments another process parses: `contour-node train --help` lists them."""
    what = "prepare data; train, test and publish models"
    verb = verbs.add_parser("train", help=what, description=what, add_help=False)
    verb.add_argument("rest", nargs=argparse.REMAINDER)
    verb.set_defaults(command="train:run", name="train")


def _evaluate_verb(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb that compares files; it needs no settings either."""
    what = "compare contours with a reference: geometry, dose, effort"
    verb = verbs.add_parser("evaluate", help=what, description=what)
    takes.evaluate(verb)
    verb.set_defaults(command="evaluate:run", name="evaluate")


def _verb(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    run: str,
    what: str,
    *,
    json: bool = False,
) -> argparse.ArgumentParser:
    verb = verbs.add_parser(name, help=what, description=what)
    verb.add_argument("--settings", type=Path, help="the settings file (TOML); see docs/settings.md")
    if json:
        verb.add_argument("--json", action="store_true", help="print JSON")
    verb.set_defaults(command=run, name=name)
    return verb

"""Says which tests were skipped for want of a program, and how to bring it; with --require-peers they fail the run."""

import pytest

LACKING = "not installed"  # in the reason of every test that is skipped for want of a package


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-peers", action="store_true", help="fail where a test is skipped for want of a package"
    )


def lacking(terminal: pytest.TerminalReporter) -> list[str]:
    """The reasons of the tests that were skipped for want of a package, each once."""
    reasons = [str(report.longrepr[2]) for report in terminal.stats.get("skipped", []) if report.longrepr]
    return sorted({reason.removeprefix("Skipped: ") for reason in reasons if LACKING in reason})


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None and session.config.option.require_peers and lacking(terminal) and not exitstatus:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reasons = lacking(terminalreporter)
    if reasons:
        terminalreporter.section("skipped for want of a package; `make peers web-packages` installs them")
        for reason in reasons:
            terminalreporter.line(reason)

"""Every part of the node in a line, as the role monitor sees it."""

import argparse
import json
import sys

from service.config import Settings
from service.monitor.pages import health_report
from service.wiring.monitor import look


def node_health(arguments: argparse.Namespace) -> int:
    """Say for each part of the node whether it is as it should be; exit code 1 where one that is needed is not."""
    settings: Settings = arguments.settings_tree
    view = look(settings)
    if arguments.json:
        sys.stdout.write(json.dumps(health_report(view), indent=1) + "\n")
    else:
        for check in view.checks:
            word = "ok" if check.ok else "NOT OK" if check.needed else "not ok, not needed to be ready"
            sys.stdout.write(f"{check.name}: {word}: {check.reason}\n")
    return 0 if view.is_ready else 1

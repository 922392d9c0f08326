"""The verb that runs the whole node."""

import argparse

from service.cli.roles import stopped_by_signals
from service.config import Settings
from service.logs import start_log
from service.supervise import Role, role_command, supervise
from service.tls import check_certificates
from service.wiring.models import model_library, templates
from service.wiring.store import opened_store


def serve(arguments: argparse.Namespace) -> int:
    """Run every role as a child process, after everything that can be checked has been."""
    settings: Settings = arguments.settings_tree
    start_log("serve", settings.node.log_level, settings.node.log_format)
    templates(settings, model_library(settings))
    check_certificates(settings)
    with opened_store(settings):
        pass
    names = ["triton"] if settings.triton.embedded else []
    names += ["receive", "assemble", "work", "send", "retention", "monitor"]
    names += ["forward-audit"] if settings.audit.syslog is not None else []
    roles = [Role(name=name, arguments=role_command((name,), arguments.settings)) for name in names]
    supervise(roles, stopped_by_signals())
    return 0

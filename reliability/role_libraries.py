"""Imports the libraries of every role; preloaded by the parent from which role processes are forked."""

import service.audit
import service.monitor.heartbeat_thread
import service.template  # noqa: F401
from service.wiring import ROLES

for _build in ROLES.values():
    _build()

"""The audit trail (IHE ATNA, PS3.15 A.5): what was received, contoured, sent, viewed and ordered, and by whom."""

from service.audit.forwarder import run_forwarder
from service.audit.message import FETCHING, audit_message
from service.audit.writer import AuditWriter

__all__ = ["FETCHING", "AuditWriter", "audit_message", "run_forwarder"]

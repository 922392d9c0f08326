"""The values that all associations of a receiver share, and an accepted connection."""

import ssl
from dataclasses import dataclass

from service.audit import AuditWriter
from service.dimse.messages import Timeouts
from service.dimse.negotiation_cache import NegotiationCache
from service.receive.admission import Admission
from service.receive.commitment import CommitmentReports
from service.receive.limits import AssociationLimit
from service.receive.rejection_log import RejectionLog


@dataclass(frozen=True, kw_only=True)
class ReceiverContext:
    """The policy, limits and logs that all associations of a receiver share."""

    admission: Admission
    negotiations: NegotiationCache
    timeouts: Timeouts
    request_timeout_s: float
    maximum_pdu_bytes: int
    associations: AssociationLimit
    rejections: RejectionLog
    trail: AuditWriter
    reports: CommitmentReports | None = None


@dataclass(frozen=True, kw_only=True)
class Connection:
    """An accepted TCP connection: the peer's address, the listener's TLS, and its standing."""

    host: str
    tls: ssl.SSLContext | None = None
    is_over_rate: bool = False
    """Whether its address has opened too many connections: the association is rejected as temporary congestion."""

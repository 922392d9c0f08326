"""What every association of a receiver shares, and how a connection came in."""

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
    """What holds for every association of a receiver."""

    admission: Admission
    handshakes: NegotiationCache
    timeouts: Timeouts
    request_timeout_s: float
    maximum_pdu_bytes: int
    places: AssociationLimit
    refusals: RejectionLog
    trail: AuditWriter
    reports: CommitmentReports | None = None


@dataclass(frozen=True, kw_only=True)
class Connection:
    """How a connection came in."""

    host: str
    tls: ssl.SSLContext | None = None
    is_over_rate: bool = False
    """Whether its address has opened too many: it is told to come later."""

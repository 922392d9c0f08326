"""Who may associate. The answer is given in the association's own handshake, before anything else is read."""

from dataclasses import dataclass
from enum import Enum

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"


class Rejection(Enum):
    """Why an association is rejected: result, source and reason of PS3.8 Table 9-21."""

    APPLICATION_CONTEXT_NOT_SUPPORTED = (1, 1, 2)
    CALLING_AE_TITLE_NOT_RECOGNIZED = (1, 1, 3)
    CALLED_AE_TITLE_NOT_RECOGNIZED = (1, 1, 7)
    PROTOCOL_VERSION_NOT_SUPPORTED = (1, 2, 2)
    LOCAL_LIMIT_EXCEEDED = (2, 3, 2)


@dataclass(frozen=True, kw_only=True)
class Applicant:
    """What an A-ASSOCIATE-RQ says about who is asking for whom."""

    calling_aet: str
    called_aet: str
    application_context: str
    protocol_version: int


@dataclass(frozen=True, kw_only=True)
class Admission:
    """The AE titles that the node answers to and those that it lets in; no calling titles listed means any."""

    called_aets: frozenset[str]
    calling_aets: frozenset[str]

    def refusal(self, applicant: Applicant) -> Rejection | None:
        """Returns why this applicant must stay out, or None."""
        if not applicant.protocol_version & 1:
            return Rejection.PROTOCOL_VERSION_NOT_SUPPORTED
        if applicant.application_context != APPLICATION_CONTEXT:
            return Rejection.APPLICATION_CONTEXT_NOT_SUPPORTED
        if applicant.called_aet not in self.called_aets:
            return Rejection.CALLED_AE_TITLE_NOT_RECOGNIZED
        if self.calling_aets and applicant.calling_aet not in self.calling_aets:
            return Rejection.CALLING_AE_TITLE_NOT_RECOGNIZED
        return None

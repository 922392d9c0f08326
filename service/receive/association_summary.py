"""Summary of one association: one audit event per study, not per slice."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator

from service.dimse.file_meta import TransferRoute
from service.dimse.statuses import Status
from service.receive.store_handler import Response
from service.store import AuditEvent, AuditKind, AuditOutcome

_MOST_REASONS = 5
_NUMBER = re.compile(r"(?<![0-9A-Fa-f,(])\d+(?![0-9A-Fa-f,)])")


class AssociationSummary:
    """Counts the instances of one association by study; used by one thread."""

    def __init__(self) -> None:
        self._kept: dict[str, Counter[str]] = defaultdict(Counter)
        self._patients: dict[str, str] = {}
        self._not_kept: Counter[tuple[Status, str]] = Counter()

    def count(self, answer: Response) -> None:
        """Count one C-STORE by its answer."""
        if answer.kept is None:
            self._not_kept[answer.status, _kind_of(answer.comment)] += 1
            return
        self._kept[answer.kept.study_uid][answer.kept.sop_class_uid] += 1
        self._patients[answer.kept.study_uid] = answer.kept.patient_id

    def events(self, origin: TransferRoute) -> Iterator[AuditEvent]:
        """Yield one event per study, and separate ones for refused instances: PS3.15 A.5.2 forbids mixed outcomes."""
        for study_uid, classes in self._kept.items():
            yield AuditEvent(
                kind=AuditKind.RECEIVED,
                actor=origin.calling_aet,
                address=origin.peer_host,
                target=origin.called_aet,
                study_uid=study_uid,
                sop_classes=" ".join(f"{uid}={count}" for uid, count in sorted(classes.items())),
                instance_count=classes.total(),
                patient_id=self._patients[study_uid],
            )
        yield from self._refused(origin)

    def _refused(self, origin: TransferRoute) -> Iterator[AuditEvent]:
        """Yield one event per reason, up to a limit: a sender with endless reasons cannot flood the audit trail."""
        for (status, reason), count in self._not_kept.most_common(_MOST_REASONS):
            yield AuditEvent(
                kind=AuditKind.RECEIVED,
                outcome=AuditOutcome.MINOR_FAILURE,
                actor=origin.calling_aet,
                address=origin.peer_host,
                target=origin.called_aet,
                instance_count=count,
                detail=f"answered 0x{status:04X}: {reason}",
            )
        others = self._not_kept.total() - sum(n for _, n in self._not_kept.most_common(_MOST_REASONS))
        if others:
            yield AuditEvent(
                kind=AuditKind.RECEIVED,
                outcome=AuditOutcome.MINOR_FAILURE,
                actor=origin.calling_aet,
                address=origin.peer_host,
                target=origin.called_aet,
                instance_count=others,
                detail="for other reasons",
            )


def _kind_of(comment: str) -> str:
    """Return the comment without plain numbers, so that differing lengths count as one reason; tags are kept."""
    return _NUMBER.sub("N", comment)

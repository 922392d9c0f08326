"""What one association brought: an audit event for each study, not for each slice."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from service.dimse.file_meta import TransferRoute
from service.dimse.statuses import Status
from service.receive.store_handler import Response
from service.store import AuditEvent, AuditKind, AuditOutcome


class AssociationSummary:
    """Counts the instances of one association by study; used by one thread."""

    def __init__(self) -> None:
        self._kept: dict[str, Counter[str]] = defaultdict(Counter)
        self._patients: dict[str, str] = {}
        self._not_kept: Counter[Status] = Counter()

    def count(self, answer: Response) -> None:
        """Counts one C-STORE by its answer."""
        if answer.kept is None:
            self._not_kept[answer.status] += 1
            return
        self._kept[answer.kept.study_uid][answer.kept.sop_class_uid] += 1
        self._patients[answer.kept.study_uid] = answer.kept.patient_id

    def events(self, origin: TransferRoute) -> Iterator[AuditEvent]:
        """Gives an event for each study, and one for what was not kept: PS3.15 A.5.2 forbids mixed results."""
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
        if self._not_kept:
            answers = (f"{count} answered 0x{status:04X}" for status, count in sorted(self._not_kept.items()))
            yield AuditEvent(
                kind=AuditKind.RECEIVED,
                outcome=AuditOutcome.MINOR_FAILURE,
                actor=origin.calling_aet,
                address=origin.peer_host,
                target=origin.called_aet,
                instance_count=self._not_kept.total(),
                detail=", ".join(answers),
            )

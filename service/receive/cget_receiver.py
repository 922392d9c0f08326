"""Objects that the node fetches by C-GET: the same checks and the same storage as for objects sent to it."""

from collections import Counter
from types import TracebackType
from typing import Self

from service.audit import AuditWriter
from service.dimse.commands import CommandField, DimseRequest
from service.dimse.file_meta import TransferRoute
from service.dimse.negotiation import AcceptedContext
from service.dimse.statuses import Status
from service.receive.association_summary import AssociationSummary
from service.receive.store_handler import StoreHandler, StoreRequest
from service.scu.retrieve import RetrievedObject, StoreResponse


class CGetReceiver:
    """Receives objects from one peer; leaving the with-block records them in the audit trail. For one thread."""

    def __init__(self, storage: StoreHandler, trail: AuditWriter, origin: TransferRoute) -> None:
        """``origin`` is the peer asked, and this node's AE title: as if the peer had sent the objects."""
        self._storage = storage
        self._trail = trail
        self._origin = origin
        self._tally = AssociationSummary()
        self._rejections: Counter[str] = Counter()

    def keep(self, brought: RetrievedObject) -> StoreResponse:
        """Store the object and return the response any sender would get; success once file and row are durable."""
        request = DimseRequest(
            field=CommandField.C_STORE_RQ,
            message_id=brought.message_id,
            sop_class_uid=brought.sop_class_uid,
            sop_instance_uid=brought.sop_instance_uid,
            has_data_set=True,
        )
        context = AcceptedContext(
            sop_class_uid=brought.context_sop_class_uid, transfer_syntax_uid=brought.transfer_syntax_uid
        )
        answer = self._storage.keep(
            StoreRequest(request=request, context=context, origin=self._origin), iter([brought.data_set])
        )
        self._tally.count(answer)
        if answer.status is not Status.SUCCESS:
            self._rejections[answer.comment] += 1
        return StoreResponse(status=answer.status, comment=answer.comment)

    def refusals(self) -> str:
        """Return why objects were not stored since the last call, with counts; empty if all were."""
        said = "; ".join(f"{number} not stored here: {why}" for why, number in self._rejections.most_common())
        self._rejections.clear()
        return said

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for event in self._tally.events(self._origin):
            self._trail.record(event)

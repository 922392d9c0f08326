"""One C-STORE: write the received bytes, commit the row, and only then respond with success."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from service.config import Settings
from service.dimse import file_meta
from service.dimse.commands import DimseRequest
from service.dimse.dataset import DatasetReader, InstanceIdentity, MalformedDataset
from service.dimse.file_meta import FileMeta, TransferRoute
from service.dimse.negotiation import AcceptedContext
from service.dimse.statuses import Status
from service.errors import Refused
from service.store import (
    DatabaseUnavailable,
    FileStore,
    InstanceRecorder,
    ReceivedInstance,
    RecordOutcome,
    StorageUnavailable,
    StoredFile,
)

log = logging.getLogger(__name__)

_REFUSALS = {
    RecordOutcome.CONFLICT: "this SOP Instance UID is kept with other content",
    RecordOutcome.OTHER_SYNTAX: "this SOP Instance UID is kept in another transfer syntax",
}


LARGEST_OBJECT_BYTES = 1 << 32
"""Far above any image or structure set; keeps a broken sender from filling the disk with one object."""


@dataclass(frozen=True, kw_only=True)
class StoreRequest:
    """A C-STORE request with its presentation context and its route."""

    request: DimseRequest
    context: AcceptedContext
    origin: TransferRoute
    study_uid: str = ""
    """The study that it must be of; empty: any."""


@dataclass(frozen=True, kw_only=True)
class Response:
    """A status, and a comment for the sender's log ((0000,0902): at most 64 characters, no patient data)."""

    status: Status
    comment: str = ""
    kept: InstanceIdentity | None = None
    """The identity of the stored instance."""


class _Unwanted(Exception):
    """The instance must not be stored."""

    def __init__(self, status: Status, comment: str) -> None:
        super().__init__(comment)
        self.answer = Response(status=status, comment=comment)


class StoreHandler:
    """Stores received instances. Thread-safe."""

    def __init__(
        self,
        files: FileStore,
        recorder: InstanceRecorder,
        *,
        maximum_object_bytes: int,
        has_room: Callable[[], str | None],
        reads_patient_id: bool = False,
    ) -> None:
        """``has_room`` is called before an object is stored; it returns None, or the reason why there is no room."""
        self._has_room = has_room
        self._files = files
        self._recorder = recorder
        self._maximum_object_bytes = maximum_object_bytes
        self._reads_patient_id = reads_patient_id

    def keep(self, incoming: StoreRequest, data_set: Iterator[memoryview]) -> Response:
        """Store one instance and return the response: SUCCESS only once file and row would survive a power failure.

        Errors raised by ``data_set`` propagate; then, and with any other response, nothing is recorded. ``data_set``
        may be left partly unread.
        """
        try:
            answer = self._keep(incoming, data_set)
        except _Unwanted as unwanted:
            answer = unwanted.answer
        except MalformedDataset as error:
            answer = Response(status=Status.CANNOT_UNDERSTAND, comment=str(error))
        except StorageUnavailable as error:
            log.exception("instance not kept: storage")
            answer = Response(status=Status.OUT_OF_RESOURCES, comment=f"storage: {type(error).__name__}")
        except DatabaseUnavailable:
            log.exception("instance not kept: database")
            answer = Response(status=Status.OUT_OF_RESOURCES, comment="database not available")
        except Refused as error:
            log.exception("instance not kept: refused by the database")
            answer = Response(status=Status.CANNOT_UNDERSTAND, comment=str(error))
        if answer.status is not Status.SUCCESS:
            log.warning("instance not kept", extra=_about(incoming, answer))
        return answer

    def _keep(self, incoming: StoreRequest, data_set: Iterator[memoryview]) -> Response:
        request, context = incoming.request, incoming.context
        if request.sop_class_uid != context.sop_class_uid:
            raise _Unwanted(
                Status.SOP_CLASS_NOT_SUPPORTED, "SOP class is not that of its presentation context"
            )
        no_room = self._has_room()
        if no_room is not None:
            raise _Unwanted(Status.OUT_OF_RESOURCES, no_room)
        reader = DatasetReader(
            context.transfer_syntax_uid,
            maximum_inflated_bytes=self._maximum_object_bytes,
            reads_patient_id=self._reads_patient_id,
        )
        intake = _ValidatingStream(incoming, data_set, reader, self._maximum_object_bytes)
        meta = FileMeta(
            sop_class_uid=request.sop_class_uid,
            sop_instance_uid=request.sop_instance_uid,
            transfer_syntax_uid=context.transfer_syntax_uid,
            origin=incoming.origin,
        )
        stored = self._files.put(request.sop_instance_uid, iter(intake), header=file_meta.encode(meta))
        identity = intake.identity
        try:
            outcome = self._recorder.record(received_instance(meta, identity, stored))
        except Refused:
            if stored.is_new:
                self._files.discard(stored)
            raise
        if outcome in _REFUSALS:
            self._files.discard(stored)
            raise _Unwanted(Status.DUPLICATE_SOP_INSTANCE, _REFUSALS[outcome])
        if not stored.is_new:
            self._files.touch(stored.path)
        return Response(status=Status.SUCCESS, kept=identity)


def storage_of(
    settings: Settings, files: FileStore, recorder: InstanceRecorder, has_room: Callable[[], str | None]
) -> StoreHandler:
    """Return the store handler that the settings describe, for instances from any source."""
    return StoreHandler(
        files,
        recorder,
        maximum_object_bytes=LARGEST_OBJECT_BYTES,
        has_room=has_room,
        reads_patient_id=settings.audit.patient_ids,
    )


def received_instance(meta: FileMeta, identity: InstanceIdentity, stored: StoredFile) -> ReceivedInstance:
    """Return the row for a file, all of it taken from the file."""
    return ReceivedInstance(
        sop_instance_uid=identity.sop_instance_uid,
        sop_class_uid=identity.sop_class_uid,
        series_uid=identity.series_uid,
        study_uid=identity.study_uid,
        modality=identity.modality,
        transfer_syntax_uid=meta.transfer_syntax_uid,
        calling_aet=meta.origin.calling_aet,
        called_aet=meta.origin.called_aet,
        peer_host=meta.origin.peer_host,
        file=stored,
    )


class _ValidatingStream:
    """Validates a dataset while it streams to disk; the stream ends normally only if it is complete and correct."""

    def __init__(
        self,
        incoming: StoreRequest,
        data_set: Iterator[memoryview],
        reader: DatasetReader,
        maximum_bytes: int,
    ) -> None:
        self._request = incoming.request
        self._study_uid = incoming.study_uid
        self._data_set = data_set
        self._reader = reader
        self._maximum_bytes = maximum_bytes

    def __iter__(self) -> Iterator[memoryview]:
        size = 0
        for fragment in self._data_set:
            size += len(fragment)
            if size > self._maximum_bytes:
                raise _Unwanted(Status.OUT_OF_RESOURCES, f"larger than {self._maximum_bytes} bytes")
            self._reader.feed(fragment)
            yield fragment
        identity = self.identity
        if identity.sop_class_uid != self._request.sop_class_uid:
            raise _Unwanted(
                Status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS, "SOP Class UID differs from the request's"
            )
        if identity.sop_instance_uid != self._request.sop_instance_uid:
            comment = "SOP Instance UID differs from the request's"
            raise _Unwanted(Status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS, comment)
        if self._study_uid not in ("", identity.study_uid):
            comment = "Study Instance UID differs from the request's"
            raise _Unwanted(Status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS, comment)

    @cached_property
    def identity(self) -> InstanceIdentity:
        """The instance's identity, once the whole dataset has passed."""
        return self._reader.finish()


def _about(incoming: StoreRequest, answer: Response) -> dict[str, object]:
    return {
        "sop_instance_uid": incoming.request.sop_instance_uid,
        "calling_aet": incoming.origin.calling_aet,
        "peer_host": incoming.origin.peer_host,
        "status": f"0x{answer.status:04X}",
        "reason": answer.comment,
    }

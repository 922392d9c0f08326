"""One association, from the connection to its end, in one thread and with nothing polled."""

import logging
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from service.receive import commands, negotiation
from service.receive.admission import Admission, Rejection
from service.receive.commands import Field, Request
from service.receive.commitment import CommitmentReports
from service.receive.file_meta import Origin
from service.receive.messages import (
    RELEASE_RESPONSE,
    AbortReason,
    Messages,
    Pdu,
    ProtocolError,
    ReleaseRequested,
    Timeouts,
    encode_abort,
)
from service.receive.negotiation import AcceptedContext, AssociationRequest
from service.receive.sop_classes import STORAGE_COMMITMENT, VERIFICATION
from service.receive.statuses import Status
from service.receive.storage import Answer, Incoming, Storage
from service.receive.wire import PeerGone, SocketReader

log = logging.getLogger(__name__)

_REQUEST_BYTES = 128 * 1024
_CLOSING_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What holds for every association of a receiver."""

    admission: Admission
    supported: Mapping[str, frozenset[str]]
    timeouts: Timeouts
    request_timeout_s: float
    maximum_pdu_bytes: int
    reports: CommitmentReports | None = None


class Places:
    """Counts the associations that are open, up to a limit."""

    def __init__(self, limit: int) -> None:
        self._free = threading.BoundedSemaphore(limit)

    def take(self) -> bool:
        """Returns whether there was a place left; it is taken then."""
        return self._free.acquire(blocking=False)

    def give_back(self) -> None:
        """Makes room for another."""
        self._free.release()


class Association:
    """One connection of one peer."""

    def __init__(self, connection: socket.socket, peer_host: str, terms: Terms, storage: Storage) -> None:
        self._connection = connection
        self._peer_host = peer_host
        self._terms = terms
        self._storage = storage
        self._reader = SocketReader(connection)
        self._lock = threading.Lock()
        self._is_busy = False
        self._is_stopping = False
        self._is_established = False

    @property
    def is_established(self) -> bool:
        """Whether the peer was let in; it keeps its place then."""
        return self._is_established

    def serve(self, places: Places) -> None:
        """Answers the peer until it releases, leaves, breaks the protocol or the node stops; closes the connection."""
        try:
            self._serve(places)
        except PeerGone as error:
            log.info("association ended without release", extra=self._about(reason=str(error)))
        except ProtocolError as error:
            log.warning("association aborted", extra=self._about(reason=str(error)))
            self._farewell(encode_abort(error.reason))
        finally:
            self._connection.close()

    def stop(self) -> None:
        """Ends the association at once where it waits, or after the answer to the request in hand."""
        with self._lock:
            self._is_stopping = True
            if not self._is_busy:
                self._hang_up(socket.SHUT_RD)

    def cut(self) -> None:
        """Ends the association now, whatever it does; what was not acknowledged is not kept."""
        self._hang_up(socket.SHUT_RDWR)

    def _serve(self, places: Places) -> None:
        request = self._request()
        rejection = self._terms.admission.refusal(request.applicant)
        if rejection is None and not places.take():
            rejection = Rejection.LOCAL_LIMIT_EXCEEDED
        if rejection is not None:
            about = self._about(reason=rejection.name, **vars(request.applicant))
            log.warning("association rejected", extra=about)
            self._farewell(negotiation.encode_reject(rejection))
            return
        self._is_established = True
        try:
            self._established(request)
        finally:
            places.give_back()

    def _request(self) -> AssociationRequest:
        within_s = self._terms.request_timeout_s
        header = self._reader.exactly(6, within_s=within_s)
        kind, _, length = struct.unpack(">BBL", header)
        if kind == Pdu.ABORT:
            raise PeerGone("aborted by the peer")
        if kind != Pdu.ASSOCIATE_RQ:
            known = kind in Pdu.__members__.values()
            reason = AbortReason.UNEXPECTED_PDU if known else AbortReason.UNRECOGNIZED_PDU
            raise ProtocolError(reason, f"PDU of type {kind} before an association")
        if length > _REQUEST_BYTES:
            raise ProtocolError(AbortReason.INVALID_PDU_PARAMETER, f"association request of {length} bytes")
        try:
            return negotiation.decode_request(header + self._reader.exactly(length, within_s=within_s))
        except negotiation.MalformedRequest as error:
            raise ProtocolError(AbortReason.INVALID_PDU_PARAMETER, str(error)) from error

    def _established(self, request: AssociationRequest) -> None:
        terms = self._terms
        try:
            accept, contexts = negotiation.accept(
                request, terms.supported, maximum_pdu_bytes=terms.maximum_pdu_bytes
            )
        except negotiation.MalformedRequest as error:
            raise ProtocolError(AbortReason.INVALID_PDU_PARAMETER, str(error)) from error
        messages = Messages(
            self._connection, self._reader, terms.timeouts, maximum_pdu_bytes=terms.maximum_pdu_bytes
        )
        messages.send(accept)
        origin = Origin(
            calling_aet=request.applicant.calling_aet,
            called_aet=request.applicant.called_aet,
            peer_host=self._peer_host,
        )
        try:
            while self._may_wait():
                context_id, message = messages.next_request()
                if not self._begins():
                    break
                self._answer(messages, contexts, context_id, message, origin)
        except ReleaseRequested:
            self._farewell(RELEASE_RESPONSE)
            return
        except PeerGone:
            if not self._is_stopping:
                raise
        log.info("association ended: the node stops", extra=self._about())
        self._farewell(encode_abort(AbortReason.NOT_SPECIFIED))

    def _may_wait(self) -> bool:
        with self._lock:
            self._is_busy = False
            return not self._is_stopping

    def _begins(self) -> bool:
        with self._lock:
            self._is_busy = True
            return not self._is_stopping

    def _answer(
        self,
        messages: Messages,
        contexts: Mapping[int, AcceptedContext],
        context_id: int,
        request: Request,
        origin: Origin,
    ) -> None:
        context = contexts.get(context_id)
        if context is None:
            raise ProtocolError(
                AbortReason.INVALID_PDU_PARAMETER, f"presentation context {context_id} was not agreed"
            )
        if request.field == Field.C_CANCEL_RQ:
            return
        data_set = messages.data_set(context_id) if request.has_data_set else iter(())
        asked = Incoming(request=request, context=context, origin=origin)
        answer = self._answer_to(asked, data_set)
        for _ in data_set:  # what nobody wanted still has to be read
            pass
        messages.respond(context_id, commands.encode_response(request, answer.status, comment=answer.comment))

    def _answer_to(self, asked: Incoming, data_set: Iterator[memoryview]) -> Answer:
        field, reports = asked.request.field, self._terms.reports
        if asked.context.sop_class_uid == STORAGE_COMMITMENT:
            if field == Field.N_EVENT_REPORT_RQ and reports is not None:
                return reports.take(asked.request, asked.context, data_set)
        elif field == Field.C_STORE_RQ and asked.context.sop_class_uid != VERIFICATION:
            return self._storage.keep(asked, data_set)
        elif field == Field.C_ECHO_RQ:
            return Answer(status=Status.SUCCESS)
        return Answer(status=Status.UNRECOGNIZED_OPERATION)

    def _farewell(self, pdu: bytes) -> None:
        """Sends the last PDU and leaves it to the peer to close (PS3.8 9.2, Sta13), but not for ever."""
        try:
            self._connection.settimeout(_CLOSING_S)
            self._connection.sendall(pdu)
            while self._connection.recv(65536):
                pass
        except OSError as error:
            log.debug("peer did not wait for the last word", extra=self._about(reason=str(error)))

    def _hang_up(self, how: int) -> None:
        try:
            self._connection.shutdown(how)
        except OSError as error:
            log.debug("connection was closed already", extra=self._about(reason=str(error)))

    def _about(self, **more: object) -> dict[str, object]:
        return {"peer_host": self._peer_host, **more}

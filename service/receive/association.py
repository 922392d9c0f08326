"""One association, from the accepted connection to its end, in one thread without polling."""

import logging
import socket
import ssl
import struct
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from service.dimse import commands, negotiation
from service.dimse.association_request import AssociationRequest, MalformedRequest, read_association_request
from service.dimse.commands import CommandField, DimseRequest
from service.dimse.file_meta import TransferRoute
from service.dimse.messages import (
    RELEASE_RESPONSE,
    AbortReason,
    Messages,
    Pdu,
    ProtocolError,
    ReleaseRequested,
    encode_abort,
)
from service.dimse.negotiation import AcceptedContext, NegotiationResult, Rejection
from service.dimse.sop_classes import STORAGE_COMMITMENT, VERIFICATION
from service.dimse.statuses import Status
from service.dimse.wire import ConnectionLost, SocketReader
from service.receive.admission import PeerIdentity
from service.receive.association_summary import AssociationSummary
from service.receive.context import Connection, ReceiverContext
from service.receive.store_handler import Response, StoreHandler, StoreRequest
from service.tls import certificate_of

log = logging.getLogger(__name__)
_TLS_ENDED = (ssl.SSLEOFError, ssl.SSLZeroReturnError)

_REQUEST_BYTES = 128 * 1024
_CLOSING_S = 1.0
_TLS_HANDSHAKE = 22  # first byte of a TLS handshake, where DICOM has the PDU type


class TlsHandshakeFailed(Exception):
    """The TLS handshake failed; the message says why."""


@dataclass(frozen=True, kw_only=True)
class _Conversation:
    """An established association."""

    messages: Messages
    contexts: Mapping[int, AcceptedContext]
    origin: TransferRoute
    summary: AssociationSummary


class Association:
    """Serves one connection of one peer."""

    def __init__(
        self,
        connection: socket.socket,
        accepted: Connection,
        receiver: ReceiverContext,
        storage: StoreHandler,
    ) -> None:
        self._connection = connection
        self._accepted = accepted
        self._receiver = receiver
        self._storage = storage
        self._lock = threading.Lock()
        self._is_busy = False
        self._is_stopping = False
        self._is_established = False

    @property
    def host(self) -> str:
        """The peer's address."""
        return self._accepted.host

    @property
    def is_established(self) -> bool:
        """Whether the association was accepted and so counts toward the limits."""
        return self._is_established

    def serve(self) -> None:
        """Answer the peer until it releases, disconnects or breaks the protocol, or the node stops; then close."""
        try:
            self._serve(self._secured())
        except MalformedRequest as error:
            self._break_off(ProtocolError(AbortReason.INVALID_PDU_PARAMETER, str(error)))
        except TlsHandshakeFailed as error:
            self._receiver.rejections.record("TLS handshake failed", self.host, str(error))
        except ConnectionLost as error:
            level = (
                logging.INFO if self._is_established else logging.DEBUG
            )  # monitoring probes only test whether the port listens
            log.log(level, "association ended without release", extra=self._about(reason=str(error)))
        except ProtocolError as error:
            self._break_off(error)
        finally:
            self._connection.close()

    def stop(self) -> None:
        """End the association: at once if idle, else after the response to the current request."""
        with self._lock:
            self._is_stopping = True
            if not self._is_busy:
                self._shut_down(socket.SHUT_RD)

    def cut(self) -> None:
        """Abort the association now; an object not yet acknowledged is discarded."""
        self._shut_down(socket.SHUT_RDWR)

    def _break_off(self, error: ProtocolError) -> None:
        if self._is_established:
            log.warning("association aborted", extra=self._about(reason=str(error)))
        else:
            self._receiver.rejections.record("no association", self.host, str(error))
        self._send_last_pdu(encode_abort(error.reason))

    def _secured(self) -> PeerIdentity:
        """Return the peer's identity, after the TLS handshake if there is one; a slow peer costs only this thread."""
        if self._accepted.tls is None:
            return PeerIdentity(host=self.host)
        try:
            with self._lock:
                secured = self._accepted.tls.wrap_socket(
                    self._connection, server_side=True, do_handshake_on_connect=False
                )
                self._connection = secured
            secured.settimeout(self._receiver.request_timeout_s)
            secured.do_handshake()
        except ssl.SSLCertVerificationError as error:
            raise TlsHandshakeFailed(f"its certificate is not accepted: {error.verify_message}") from error
        except OSError as error:
            if isinstance(error, ssl.SSLError) and not isinstance(error, _TLS_ENDED):
                raise TlsHandshakeFailed(error.reason or type(error).__name__) from error
            raise ConnectionLost(
                f"silent or disconnected during the TLS handshake: {type(error).__name__}"
            ) from error
        return PeerIdentity(host=self.host, certificate=certificate_of(secured))

    def _serve(self, peer: PeerIdentity) -> None:
        reader = SocketReader(self._connection)
        request = self._request(reader)
        association_request = read_association_request(request)
        rejection = self._rejection(association_request, peer)
        if rejection is not None:
            self._receiver.rejections.record(
                "association rejected",
                self.host,
                rejection.name,
                association_request.calling_aet,
                association_request.called_aet,
            )
            self._send_last_pdu(negotiation.encode_reject(rejection))
            return
        try:
            negotiated = self._receiver.negotiations.answer_to(request)
            self._is_established = True
            self._established(negotiated, association_request, reader)
        finally:
            self._receiver.associations.give_back(self.host)

    def _rejection(self, association_request: AssociationRequest, peer: PeerIdentity) -> Rejection | None:
        """Return the reason to reject the association; None if it is accepted, and then counted toward the limits."""
        if self._accepted.is_over_rate:
            return Rejection.TEMPORARY_CONGESTION
        rejection = self._receiver.admission.refusal(association_request, peer)
        if rejection is None and not self._receiver.associations.take(self.host):
            return Rejection.LOCAL_LIMIT_EXCEEDED
        return rejection

    def _request(self, reader: SocketReader) -> bytes:
        within_s = self._receiver.request_timeout_s
        header = reader.exactly(6, within_s=within_s)
        kind, _, length = struct.unpack(">BBL", header)
        if kind == Pdu.ABORT:
            raise ConnectionLost("aborted by the peer")
        if kind == _TLS_HANDSHAKE:
            raise ProtocolError(AbortReason.UNRECOGNIZED_PDU, "a TLS handshake on the port without TLS")
        if kind != Pdu.ASSOCIATE_RQ:
            known = kind in Pdu.__members__.values()
            reason = AbortReason.UNEXPECTED_PDU if known else AbortReason.UNRECOGNIZED_PDU
            raise ProtocolError(reason, f"PDU of type {kind} before an association")
        if length > _REQUEST_BYTES:
            raise ProtocolError(AbortReason.INVALID_PDU_PARAMETER, f"association request of {length} bytes")
        return header + reader.exactly(length, within_s=within_s)

    def _established(
        self, negotiated: NegotiationResult, association_request: AssociationRequest, reader: SocketReader
    ) -> None:
        receiver = self._receiver
        messages = Messages(
            self._connection, reader, receiver.timeouts, maximum_pdu_bytes=receiver.maximum_pdu_bytes
        )
        messages.send(negotiated.accept)
        origin = TransferRoute(
            calling_aet=association_request.calling_aet,
            called_aet=association_request.called_aet,
            peer_host=self.host,
        )
        summary = AssociationSummary()
        try:
            self._converse(
                _Conversation(messages=messages, contexts=negotiated.contexts, origin=origin, summary=summary)
            )
        finally:
            for event in summary.events(origin):
                receiver.trail.record(event)

    def _converse(self, conversation: _Conversation) -> None:
        try:
            while self._may_wait():
                context_id, message = conversation.messages.next_request()
                if not self._begins():
                    break
                self._answer(conversation, context_id, message)
        except ReleaseRequested:
            self._send_last_pdu(RELEASE_RESPONSE)
            return
        except ConnectionLost:
            if not self._is_stopping:
                raise
        log.info("association ended: the node stops", extra=self._about())
        self._send_last_pdu(encode_abort(AbortReason.NOT_SPECIFIED))

    def _may_wait(self) -> bool:
        with self._lock:
            self._is_busy = False
            return not self._is_stopping

    def _begins(self) -> bool:
        with self._lock:
            self._is_busy = True
            return not self._is_stopping

    def _answer(self, conversation: _Conversation, context_id: int, request: DimseRequest) -> None:
        messages = conversation.messages
        context = conversation.contexts.get(context_id)
        if context is None:
            raise ProtocolError(
                AbortReason.INVALID_PDU_PARAMETER, f"presentation context {context_id} was not agreed"
            )
        if request.field == CommandField.C_CANCEL_RQ:
            return
        data_set = messages.data_set(context_id) if request.has_data_set else iter(())
        asked = StoreRequest(request=request, context=context, origin=conversation.origin)
        answer = self._answer_to(asked, data_set)
        if request.field == CommandField.C_STORE_RQ:
            conversation.summary.count(answer)
        for _ in data_set:  # an unwanted dataset still has to be read
            pass
        messages.respond(context_id, commands.encode_response(request, answer.status, comment=answer.comment))

    def _answer_to(self, asked: StoreRequest, data_set: Iterator[memoryview]) -> Response:
        field, reports = asked.request.field, self._receiver.reports
        if asked.context.sop_class_uid == STORAGE_COMMITMENT:
            if field == CommandField.N_EVENT_REPORT_RQ and reports is not None:
                return reports.take(asked.request, asked.context, data_set)
        elif field == CommandField.C_STORE_RQ and asked.context.sop_class_uid != VERIFICATION:
            return self._storage.keep(asked, data_set)
        elif field == CommandField.C_ECHO_RQ:
            return Response(status=Status.SUCCESS)
        return Response(status=Status.UNRECOGNIZED_OPERATION)

    def _send_last_pdu(self, pdu: bytes) -> None:
        """Send the last PDU, then wait a limited time for the peer to close the connection (PS3.8 9.2, Sta13)."""
        try:
            self._connection.settimeout(_CLOSING_S)
            self._connection.sendall(pdu)
            while self._connection.recv(65536):
                pass
        except OSError as error:
            log.debug("the peer did not wait for the last PDU", extra=self._about(reason=str(error)))

    def _shut_down(self, how: int) -> None:
        try:
            socket.socket.shutdown(self._connection, how)  # the TCP connection below TLS
        except OSError as error:
            log.debug("the connection was already closed", extra=self._about(reason=str(error)))

    def _about(self, **more: object) -> dict[str, object]:
        return {"peer_host": self.host, **more}

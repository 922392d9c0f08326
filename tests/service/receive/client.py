"""A storage SCU that sends exactly the bytes it is told to, and can stop at any of them."""

import io
import socket
import struct
from collections.abc import Sequence
from typing import Self

from pydicom import Dataset
from pynetdicom import build_context
from pynetdicom.dimse_messages import C_ECHO_RQ, C_STORE_RQ
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.dsutils import decode, encode
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
)
from pynetdicom.transport import AddressInformation

from tests.service.receive.samples import CT, EXPLICIT

VERIFICATION = "1.2.840.10008.1.1"


def request_pdu(
    *contexts: tuple[str, list[str]],
    calling: str = "SCANNER",
    called: str = "NODE",
    maximum_pdu_bytes: int = 16382,
    items: Sequence[object] = (),
) -> bytes:
    """Gives an A-ASSOCIATE-RQ with the contexts numbered 1, 3, 5 ... and further items of user information."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.calling_ae_title = calling
    primitive.called_ae_title = called
    primitive.called_presentation_address = AddressInformation("127.0.0.1", 104)
    primitive.calling_presentation_address = AddressInformation("127.0.0.1", 104)
    items = [build_context(uid, syntaxes) for uid, syntaxes in contexts]
    for number, item in enumerate(items):
        item.context_id = 2 * number + 1
    primitive.presentation_context_definition_list = items
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = "1.2.3.4"
    maximum = MaximumLengthNotification()
    maximum.maximum_length_received = maximum_pdu_bytes
    primitive.user_information = [maximum, implementation, *items]
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(primitive)
    return pdu.encode()


def pdvs(context_id: int, data: bytes, *, is_command: bool, size: int = 16000) -> bytes:
    """Gives P-DATA-TF PDUs of one PDV each."""
    out = b""
    for start in range(0, max(1, len(data)), size):
        piece = data[start : start + size]
        control = int(is_command) | (2 if start + size >= len(data) else 0)
        pdv = struct.pack(">LBB", len(piece) + 2, context_id, control) + piece
        out += struct.pack(">BBL", 4, 0, len(pdv)) + pdv
    return out


def store_command(sop_class_uid: str, sop_instance_uid: str) -> bytes:
    """Gives the command set of a C-STORE-RQ."""
    primitive = C_STORE()
    primitive.MessageID = 1
    primitive.AffectedSOPClassUID = sop_class_uid
    primitive.AffectedSOPInstanceUID = sop_instance_uid
    primitive.Priority = 2
    message = C_STORE_RQ()
    message.primitive_to_message(primitive)
    message.command_set.CommandDataSetType = 1
    encoded = encode(message.command_set, True, True)
    assert encoded is not None
    return encoded


def echo_command() -> bytes:
    """Gives the command set of a C-ECHO-RQ."""
    primitive = C_ECHO()
    primitive.MessageID = 2
    primitive.AffectedSOPClassUID = VERIFICATION
    message = C_ECHO_RQ()
    message.primitive_to_message(primitive)
    encoded = encode(message.command_set, True, True)
    assert encoded is not None
    return encoded


class RawPeer:
    """One connection to a receiver."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def associate(
        self, *contexts: tuple[str, list[str]], calling: str = "SCANNER", called: str = "NODE"
    ) -> A_ASSOCIATE:
        """Gives the answer to an association that must be accepted."""
        proposed = contexts or ((CT, [EXPLICIT]), (VERIFICATION, [EXPLICIT]))
        self.socket.sendall(request_pdu(*proposed, calling=calling, called=called))
        kind, pdu = self.pdu()
        assert kind == 2, f"PDU of type {kind} instead of an acceptance"
        answer = A_ASSOCIATE_AC()
        answer.decode(pdu)
        return answer.to_primitive()

    def store(
        self,
        data: bytes,
        *,
        sop_instance_uid: str,
        sop_class_uid: str = CT,
        context_id: int = 1,
        size: int = 16000,
    ) -> Dataset:
        """Gives the response to a C-STORE of these bytes."""
        command = store_command(sop_class_uid, sop_instance_uid)
        message = pdvs(context_id, command, is_command=True)
        self.socket.sendall(message + pdvs(context_id, data, is_command=False, size=size))
        return self.response()

    def echo(self, context_id: int = 3) -> Dataset:
        """Gives the response to a C-ECHO."""
        self.socket.sendall(pdvs(context_id, echo_command(), is_command=True))
        return self.response()

    def response(self) -> Dataset:
        """Gives the command set that comes next."""
        kind, pdu = self.pdu()
        assert kind == 4, f"PDU of type {kind} instead of a response: {pdu!r}"
        assert pdu[11] == 3, "a whole command in one PDV"
        return decode(io.BytesIO(pdu[12:]), True, True)

    def release(self) -> None:
        """Ends the association in good order."""
        self.socket.sendall(struct.pack(">BBLL", 5, 0, 4, 0))
        assert self.pdu()[0] == 6

    def pdu(self) -> tuple[int, bytes]:
        """Gives the type and all bytes of the next PDU; type 0 where the connection ends instead."""
        head = self._exactly(6)
        if len(head) < 6:
            return 0, head
        return head[0], head + self._exactly(int.from_bytes(head[2:], "big"))

    def _exactly(self, size: int) -> bytes:
        got = b""
        while len(got) < size:
            piece = self.socket.recv(size - len(got))
            if not piece:
                break
            got += piece
        return got

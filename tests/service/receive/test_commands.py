import io
import struct

import pytest
from pydicom import Dataset
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import decode as decode_dataset
from pynetdicom.dsutils import encode as encode_dataset

from service.dimse.commands import CommandField, DimseRequest, MalformedCommand, decode, encode_response
from tests.service.receive.samples import CT

REQUEST = DimseRequest(
    field=CommandField.C_STORE_RQ, message_id=7, sop_class_uid=CT, sop_instance_uid="1.2.3", has_data_set=True
)


def command_set_of_pynetdicom() -> bytes:
    primitive = C_STORE()
    primitive.MessageID = 7
    primitive.AffectedSOPClassUID = CT
    primitive.AffectedSOPInstanceUID = "1.2.3"
    primitive.Priority = 2
    message = C_STORE_RQ()
    message.primitive_to_message(primitive)
    message.command_set.CommandDataSetType = 1
    encoded = encode_dataset(message.command_set, True, True)
    assert encoded is not None
    return encoded


def test_a_request_of_another_implementation_is_understood():
    assert decode(command_set_of_pynetdicom()) == REQUEST


def test_another_implementation_understands_the_answer():
    command: Dataset = decode_dataset(
        io.BytesIO(encode_response(REQUEST, 0xA700, comment="disk full" + "x" * 100)), True, True
    )
    assert command.Status == 0xA700
    assert command.CommandField == 0x8001
    assert command.MessageIDBeingRespondedTo == 7
    assert command.CommandDataSetType == 0x0101
    assert command.AffectedSOPClassUID == CT
    assert command.AffectedSOPInstanceUID == "1.2.3"
    assert len(command.ErrorComment) == 64
    assert command.CommandGroupLength == len(encode_response(REQUEST, 0xA700, comment="x" * 64)) - 12


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 7,
        struct.pack("<HHL", 0, 0x0100, 20) + b"\1\0",
        struct.pack("<HHL", 8, 0x0016, 0),
        struct.pack("<HHLH", 0, 0x0100, 2, 1),
        struct.pack("<HHLHHHLHHHLH", 0, 0x0100, 2, 1, 0, 0x0110, 2, 1, 0, 0x0800, 2, 1)[:-1],
        struct.pack("<HHL", 0, 0x0002, 2) + b"\xff\xff" + command_set_of_pynetdicom()[12 + 8 + 26 :],
    ],
)
def test_what_is_no_command_set_is_refused(data):
    with pytest.raises(MalformedCommand):
        decode(data)

"""Conversations with a receiver that are deliberately wrong, at every level from the TCP stream to the dataset."""

import random
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from reliability import mutations
from reliability.dicom_marks import ElementEncoding
from reliability.samples import ct_data_sets
from reliability.wire import (
    ASSOCIATE_RQ,
    BIG_ENDIAN,
    CT_IMAGE,
    DATA,
    DEFLATED,
    ECHO_CONTEXT,
    EXPLICIT,
    IMPLICIT,
    RELEASE_RQ,
    STORE_CONTEXT,
    VERIFICATION,
    associate_request,
    associate_request_of,
    data_pdus,
    echo_command,
    item,
    pdu,
    pdv,
    presentation_context,
    store_command,
)

CALLED, CALLING = "CONTOURNODE", "FUZZ"
_COMMANDS = ElementEncoding(explicit=False, little=True)
_ENCODINGS = {
    EXPLICIT: ElementEncoding(explicit=True, little=True),
    IMPLICIT: ElementEncoding(explicit=False, little=True),
    BIG_ENDIAN: ElementEncoding(explicit=True, little=False),
}
_SIZES = (0, 1, 5, 6, 0xFF, 0xFFFF, 0x40001, 0x7FFFFFFF, 0xFFFFFFFF)


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """What is sent, PDU by PDU, and how."""

    number: int
    pdus: tuple[bytes, ...]
    drips: bool = False  # sends the beginning byte by byte
    pause_s: float = 0.0  # between PDUs
    is_held: bool = False  # the connection stays open until too many are

    @property
    def data(self) -> bytes:
        """All its bytes."""
        return b"".join(self.pdus)


def conversation(seed: int, number: int) -> Conversation:
    """Return the conversation with this number, which is always the same."""
    rng = random.Random(f"{seed}:network:{number}")
    pdus = rng.choice(_KINDS)(rng)
    return Conversation(
        number=number,
        pdus=tuple(pdus),
        drips=rng.random() < 0.08,
        pause_s=rng.choice((0.0,) * 12 + (0.01, 0.05)),
        is_held=rng.random() < 0.25,
    )


def _data_set(rng: random.Random) -> list[bytes]:
    """Return a correct association and command, and a mutated dataset in any transfer syntax."""
    syntax = rng.choice((EXPLICIT, EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED))
    uid, data = _samples()[syntax]
    if syntax == DEFLATED:
        plain = mutations.data_set(_samples()[EXPLICIT][1], 0, _ENCODINGS[EXPLICIT], rng)
        data = mutations.deflated(plain, rng)
        if rng.random() < 0.05:
            data = _bomb(rng)
    else:
        data = mutations.data_set(data, 0, _ENCODINGS[syntax], rng)
    size = rng.choice((16000, 16000, 7, 1000, 200000))
    return [_request(syntax), *_command(uid), *_data(data, size if len(data) < 20000 else 16000), _release()]


def _command_set(rng: random.Random) -> list[bytes]:
    """Return a mutated command, with or without a dataset after it."""
    uid, data = _samples()[EXPLICIT]
    command = rng.choice((store_command(CT_IMAGE, uid), echo_command()))
    command = mutations.data_set(command, 0, _COMMANDS, rng)
    context = rng.choice((STORE_CONTEXT, ECHO_CONTEXT))
    sent = data_pdus(context, command, is_command=True, size=rng.choice((16000, 3)))
    return [_request(EXPLICIT), *sent, *(_data(data) if rng.random() < 0.7 else []), _release()]


def _values(rng: random.Random) -> list[bytes]:
    """Return presentation data values with wrong flags, contexts, lengths, sizes and numbers."""
    uid, data = _samples()[EXPLICIT]
    sent = [pdv(STORE_CONTEXT, 3, store_command(CT_IMAGE, uid))]
    size = rng.choice((1, 50, 400, 5000))
    sent += [pdv(STORE_CONTEXT, 0, data[place : place + size]) for place in range(0, len(data), size)]
    sent.append(pdv(STORE_CONTEXT, 2, b""))
    for _ in range(rng.choice((1, 2, 5))):
        place = rng.randrange(len(sent))
        sent[place] = _spoilt_value(sent[place], rng)
        if rng.random() < 0.3:
            other = rng.randrange(len(sent))
            sent[place], sent[other] = sent[other], sent[place]
    together = rng.choice((1, 3, 1000))
    grouped = [b"".join(sent[place : place + together]) for place in range(0, len(sent), together)]
    return [_request(EXPLICIT), *(pdu(DATA, group) for group in grouped), _release()]


def _spoilt_value(value: bytes, rng: random.Random) -> bytes:
    length = struct.pack(">L", rng.choice((*_SIZES, len(value), max(0, len(value) - 3))))
    return rng.choice(
        (
            length + value[4:],
            value[:4] + bytes([rng.randrange(256)]) + value[5:],
            value[:5] + bytes([rng.randrange(256)]) + value[6:],
            value * rng.choice((2, 300)),
            mutations.blindly(value, rng),
            pdv(STORE_CONTEXT, rng.randrange(4), b"") * rng.choice((1, 2000)),
        )
    )


def _request_items(rng: random.Random) -> list[bytes]:
    """Return an association request whose items are mutated, repeated, missing, out of order or far too many."""
    contexts = [
        presentation_context((number, rng.choice((CT_IMAGE, VERIFICATION, "1.2.3")), (EXPLICIT, IMPLICIT)))
        for number in rng.sample(range(256), rng.choice((1, 3, 128, 200)))
    ]
    if rng.random() < 0.5:
        contexts[0] = mutations.blindly(contexts[0], rng)
    if rng.random() < 0.3:
        contexts.append(item(rng.randrange(256), rng.randbytes(rng.choice((0, 3, 500)))))
    if rng.random() < 0.4:
        contexts.append(item(0x50, _user_items(rng)))
    called = rng.choice((CALLED, CALLED, "", "\0" * 16, "NOBODY", "A" * 16))
    request = associate_request_of(contexts, called, rng.choice((CALLING, "", "\x7f" * 16)))
    if rng.random() < 0.3:
        body = bytearray(request[6:])
        body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
        request = pdu(ASSOCIATE_RQ, bytes(body))
    return [request, *_command(_samples()[EXPLICIT][0]), *_data(_samples()[EXPLICIT][1]), _release()]


def _user_items(rng: random.Random) -> bytes:
    """Return maximum length, asynchronous window, role selection, extended negotiation, user identity, all odd."""
    kinds = (0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0)
    return b"".join(
        item(rng.choice(kinds), rng.randbytes(rng.choice((0, 1, 4, 4, 30, 2000))))
        for _ in range(rng.choice((1, 3, 25)))
    )


def _pdus(rng: random.Random) -> list[bytes]:
    """Return correct PDUs with other types and lengths, in another order, twice, or with pieces of each other."""
    uid, data = _samples()[EXPLICIT]
    sent = [_request(EXPLICIT), *_command(uid), *_data(data, 400), _release()]
    for _ in range(rng.choice((1, 1, 2, 4))):
        place = rng.randrange(len(sent))
        one = sent[place]
        act = rng.randrange(6)
        if act == 0:
            sent[place] = bytes([rng.randrange(256)]) + one[1:]
        elif act == 1:
            sent[place] = one[:2] + struct.pack(">L", rng.choice((*_SIZES, len(one)))) + one[6:]
        elif act == 2:
            sent.insert(rng.randrange(len(sent) + 1), one)
        elif act == 3:
            del sent[place]
        elif act == 4:
            sent[place:place] = [one] * 300
        else:
            sent[place] = one[: rng.randrange(len(one))] + rng.choice(sent)[rng.randrange(6) :]
        sent = sent or [one]
    return sent


def _stream(rng: random.Random) -> list[bytes]:
    """Return a correct conversation as one stream, mutated blindly."""
    uid, data = _samples()[rng.choice((EXPLICIT, IMPLICIT))]
    sent = b"".join([_request(EXPLICIT), *_command(uid), *_data(data), _release()])
    return [mutations.blindly(sent, rng)]


def _noise(rng: random.Random) -> list[bytes]:
    """Return bytes that are not DICOM at all."""
    return [
        rng.choice((b"", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", rng.randbytes(5000), b"\x16\x03\x01\x02\0"))
    ]


_KINDS: tuple[Callable[[random.Random], list[bytes]], ...] = (
    _data_set, _data_set, _data_set, _command_set, _values, _request_items, _request_items, _pdus, _stream, _noise,
)  # fmt: skip


def _request(syntax: str) -> bytes:
    contexts = ((STORE_CONTEXT, CT_IMAGE, (syntax,)), (ECHO_CONTEXT, VERIFICATION, (IMPLICIT,)))
    return associate_request(contexts, called=CALLED, calling=CALLING)


def _command(uid: str) -> list[bytes]:
    return data_pdus(STORE_CONTEXT, store_command(CT_IMAGE, uid), is_command=True)


def _data(data: bytes, size: int = 16000) -> list[bytes]:
    return data_pdus(STORE_CONTEXT, data, is_command=False, size=size)


def _release() -> bytes:
    return pdu(RELEASE_RQ, bytes(4))


def _bomb(rng: random.Random) -> bytes:
    """Return a complete dataset that inflates to hundreds of megabytes of pixels."""
    head = _samples()[EXPLICIT][1].partition(b"\xe0\x7f\x10\x00")[0]
    size = rng.choice((1 << 24, 1 << 28))
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = [packer.compress(head + b"\xe0\x7f\x10\x00OW\0\0" + struct.pack("<L", size))]
    zeros = bytes(1 << 20)
    packed += [packer.compress(zeros) for _ in range(size >> 20)]
    return b"".join([*packed, packer.flush()])


@cache
def _samples() -> Mapping[str, tuple[str, bytes]]:
    return ct_data_sets("FUZZ-NETWORK")

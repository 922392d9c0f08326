"""What a receiver is sent in very large numbers: correct images, and conversations that are deliberately wrong."""

import random
import socket
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import cache, partial

from reliability.conversations import CALLED, CALLING, conversation
from reliability.samples import ct_data_sets
from reliability.wire import (
    ABORT,
    CT_IMAGE,
    DATA,
    EXPLICIT,
    STORE_CONTEXT,
    WirePeer,
    associate_request,
    data_pdus,
    pdu,
    pdv,
    store_command,
)

_AT_ONCE = 8
_CROWD = 32
_LINGER_S = 0.02
_LARGE_BYTES = 1 << 30
_PIECE_BYTES = 1 << 17
_PIXELS = b"\xe0\x7f\x10\x00"

Load = Callable[[int, range, int], None]
"""Takes a port, the numbers of what to send, and a seed."""


def hostile(port: int, numbers: range, seed: int) -> None:
    """Hold conversations that are wrong in every way, eight at a time; some connections stay open for a while."""
    with ExitStack() as held, ThreadPoolExecutor(_AT_ONCE) as threads:
        for connection in threads.map(partial(_hostile, port, seed), numbers):
            if connection is not None:
                held.callback(connection.close)


def _hostile(port: int, seed: int, number: int) -> socket.socket | None:
    """Hold one conversation; return the connection if it is to stay open."""
    rng = random.Random(f"{seed}:memory:{number}")
    pdus = rng.choice(_KINDS)(rng) if number % 2 else list(conversation(seed, number).pdus)
    connection = socket.create_connection(("127.0.0.1", port), 60)
    with suppress(OSError):
        for one in pdus:
            connection.sendall(one)
    if rng.random() < 0.02:
        return connection
    connection.settimeout(_LINGER_S)
    with suppress(OSError):
        while connection.recv(65536):
            pass
    connection.close()
    return None


def _silence(_chance: random.Random) -> list[bytes]:
    return []


def _half_a_request(rng: random.Random) -> list[bytes]:
    (request,) = _strange_request(rng)
    return [request[: rng.randrange(1, len(request))]]


def _strange_request(rng: random.Random) -> list[bytes]:
    """Return a request with titles, classes and transfer syntaxes that nobody has named before."""
    contexts = [
        (number, _uid(rng), [_uid(rng) for _ in range(rng.randrange(1, 5))])
        for number in range(1, 2 * rng.choice((2, 20, 128)), 2)
    ]
    title = bytes(rng.choices(range(65, 91), k=16)).decode()
    return [associate_request(contexts, called=rng.choice((CALLED, title)), calling=title)]


def _abort_inside(rng: random.Random) -> list[bytes]:
    """Return an image that is cut off by an abort, or only by the end of the connection."""
    uid = _image_uid(rng.randrange(1000), rng.randrange(10**9))
    data = data_pdus(STORE_CONTEXT, _image(uid), is_command=False, size=400)
    cut = data[: rng.randrange(len(data))]
    command = data_pdus(STORE_CONTEXT, store_command(CT_IMAGE, uid), is_command=True)
    last = [pdu(ABORT, bytes(4))] if rng.random() < 0.7 else []
    return [_good_request(), *command, *cut, *last]


_KINDS = (_silence, _half_a_request, _strange_request, _abort_inside, _abort_inside)


def slices(port: int, numbers: range, seed: int) -> None:
    """Send images on one association; all must be acknowledged."""
    with WirePeer(port) as peer:
        peer.associate(called=CALLED, calling=CALLING)
        for number in numbers:
            _store(peer, seed, number)
        peer.release()


def associations(port: int, numbers: range, seed: int) -> None:
    """Send one association for each image."""
    for number in numbers:
        slices(port, range(number, number + 1), seed)


def crowd(port: int, numbers: range, seed: int) -> None:
    """Send images on 32 associations at once."""
    with ThreadPoolExecutor(_CROWD) as threads:
        list(threads.map(lambda part: slices(port, part, seed), (numbers[n::_CROWD] for n in range(_CROWD))))


def large(port: int, numbers: range, seed: int) -> None:
    """Send objects of 1 GB."""
    zeros = bytes(_PIECE_BYTES)
    for number in numbers:
        uid = _image_uid(seed, number)
        head = _image(uid).partition(_PIXELS)[0] + _PIXELS + struct.pack("<2sHL", b"OW", 0, _LARGE_BYTES)
        with WirePeer(port, timeout_s=120) as peer:
            peer.associate(called=CALLED, calling=CALLING)
            peer.send(b"".join(data_pdus(STORE_CONTEXT, store_command(CT_IMAGE, uid), is_command=True)))
            peer.send(pdu(DATA, pdv(STORE_CONTEXT, 0, head)))
            for left in range(_LARGE_BYTES - _PIECE_BYTES, -1, -_PIECE_BYTES):
                peer.send(pdu(DATA, pdv(STORE_CONTEXT, 0 if left else 2, zeros)))
            _check(peer.status(), uid)
            peer.release()


LOADS: dict[str, Load] = {load.__name__: load for load in (hostile, slices, associations, crowd, large)}


def _store(peer: WirePeer, seed: int, number: int) -> None:
    uid = _image_uid(seed, number)
    _check(peer.store(uid, _image(uid)), uid)


def _check(status: int, uid: str) -> None:
    if status:
        raise SystemExit(f"{uid} was answered with 0x{status:04X}")


def _uid(rng: random.Random) -> str:
    """Return a UID that nobody else uses and that may be invalid: with a leading zero, or a letter in it."""
    number = rng.getrandbits(rng.choice((20, 100, 150)))
    return f"2.25.{rng.choice(('', '', '0', 'x'))}{number}"


def _image_uid(seed: int, number: int) -> str:
    """Return a UID as long as the sample's own, so that only these bytes differ."""
    uid, _ = _sample()
    return f"{uid[:-13]}{seed % 1000 + 1000}{number:09d}"


def _image(uid: str) -> bytes:
    sample_uid, data = _sample()
    return data.replace(sample_uid.encode(), uid.encode())


def _good_request() -> bytes:
    return associate_request([(STORE_CONTEXT, CT_IMAGE, (EXPLICIT,))], called=CALLED, calling=CALLING)


@cache
def _sample() -> tuple[str, bytes]:
    return ct_data_sets("MEMORY")[EXPLICIT]

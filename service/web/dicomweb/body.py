"""The body of a STOW request: a multipart message (RFC 2387), read only as far as its parts are used."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import anyio.from_thread
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser
from starlette.requests import Request

BLOCK_BYTES = 1 << 20
STALLED_S = 30.0


class BrokenBody(Exception):
    """The body is not a multipart message, or ends too early."""


class Blocks:
    """Passes a request's body to a thread, in blocks; a block is read from the network only when it is needed."""

    def __init__(self, request: Request) -> None:
        """Read the body of this request."""
        self._stream = request.stream()

    def next(self) -> bytes:
        """Return the next block; empty at the end."""
        return anyio.from_thread.run(self._gather)

    async def _gather(self) -> bytes:
        pieces, size = [], 0
        try:
            with anyio.fail_after(STALLED_S):
                while size < BLOCK_BYTES:
                    piece = await anext(self._stream, None)
                    if piece is None:
                        break
                    pieces.append(piece)
                    size += len(piece)
        except TimeoutError as reason:
            raise BrokenBody(f"nothing arrived for {STALLED_S:.0f} s") from reason
        return b"".join(pieces)


class BodyParts:
    """The parts of a multipart message, each as an iterator of its bytes that is used before the next part."""

    def __init__(self, boundary: bytes, next_block: Callable[[], bytes]) -> None:
        self._next_block = next_block
        self._events: deque[memoryview | bool | None] = deque()  # True: a part begins, None: it ends
        self._is_ended = False
        callbacks: Any = {
            "on_part_begin": lambda: self._events.append(True),
            "on_part_data": lambda data, start, end: self._events.append(memoryview(data)[start:end]),
            "on_part_end": lambda: self._events.append(None),
            "on_end": self._end,
        }
        self._parser = MultipartParser(boundary, callbacks)

    def __iter__(self) -> Iterator[Iterator[memoryview]]:
        """Yield the parts; raises BrokenBody."""
        while (event := self._next_event()) is not False:
            if event is True:
                part = self._part()
                yield part
                for _ in part:  # what was not used still has to be read
                    pass

    def _part(self) -> Iterator[memoryview]:
        while isinstance(event := self._next_event(), memoryview):
            yield event
        if event is not None:
            raise BrokenBody("the body ends in the middle of a part")

    def _end(self) -> None:
        self._is_ended = True

    def _next_event(self) -> memoryview | bool | None:
        """Return the next event; False at the end of the message."""
        while not self._events:
            block = b"" if self._is_ended else self._next_block()
            if not block:
                if not self._is_ended:
                    raise BrokenBody("the body ends before its last boundary")
                return False
            try:
                self._parser.write(block)
            except MultipartParseError as reason:
                raise BrokenBody(
                    f"the body is not a multipart message with this boundary: {reason}"
                ) from reason
        return self._events.popleft()

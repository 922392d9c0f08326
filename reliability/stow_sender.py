"""A program that posts a series by STOW-RS until every slice is acknowledged; some of its uploads are torn."""

import json
import random
import threading
import time
from collections import deque
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException

from typing_extensions import override

from reliability.series import OUT_OF_RESOURCES, SUCCESS, AnswerLog, Series, Slice
from service.dimse.file_meta import FileMeta, TransferRoute, encode

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
BOUNDARY = "trial"
_MOST_IN_A_REQUEST = 4
_TORN = 0.2
_ANSWER_WITHIN_S = 60.0
_PAUSE_S = 0.05
_BUSY = 503


class StowSender(threading.Thread):
    """Posts one series in a thread of its own; what is not acknowledged is posted again."""

    def __init__(self, series: Series, port: int, answers: AnswerLog, *, token: str, seed: int) -> None:
        super().__init__(name=f"stow-{series.calling_aet}", daemon=True)
        self._series = series
        self._port = port
        self._answers = answers
        self._left = deque(series.slices)
        self._token = token
        self._rng = random.Random(seed)
        self.gives_up = threading.Event()

    @override
    def run(self) -> None:
        """Post until nothing is left, or it gives up."""
        while self._left and not self.gives_up.is_set():
            some = [
                self._left[n] for n in range(min(len(self._left), self._rng.randint(1, _MOST_IN_A_REQUEST)))
            ]
            is_torn = self._rng.random() < _TORN
            try:
                kept = self._post(some, is_torn=is_torn)
            except TimeoutError:
                for one in some:
                    self._answers.kept_silent(one)
                return
            except (OSError, HTTPException):
                if not is_torn:
                    self._answers.broke()
                time.sleep(_PAUSE_S)
                continue
            self._left = deque(one for one in self._left if one.sop_instance_uid not in kept)

    def _post(self, some: Sequence[Slice], *, is_torn: bool) -> set[str]:
        """Return the UIDs that the answer acknowledges; a torn request ends somewhere in its body."""
        body = multipart(self._series, some)
        connection = HTTPConnection("127.0.0.1", self._port, timeout=_ANSWER_WITHIN_S)
        try:
            connection.putrequest("POST", "/dicom-web/studies")
            connection.putheader("Authorization", f"Bearer {self._token}")
            connection.putheader(
                "Content-Type", f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
            )
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders()
            if is_torn:
                connection.send(body[: self._rng.randrange(len(body))])
                time.sleep(self._rng.random() * _PAUSE_S)
                return set()
            connection.send(body)
            answer = connection.getresponse()
            return self._understood(some, answer.status, answer.read())
        finally:
            connection.close()

    def _understood(self, some: Sequence[Slice], status: int, content: bytes) -> set[str]:
        if status == _BUSY:
            for one in some:
                self._answers.answered(one, OUT_OF_RESOURCES)
            time.sleep(_PAUSE_S)
            return set()
        said = json.loads(content)
        kept = {row["00081155"]["Value"][0] for row in said.get("00081199", {}).get("Value", ())}
        failed = {
            row["00081155"]["Value"][0]: int(row["00081197"]["Value"][0])
            for row in said.get("00081198", {}).get("Value", ())
        }
        for (
            one
        ) in some:  # a slice that the answer does not name has the HTTP status, which is never a right one
            uid = one.sop_instance_uid
            self._answers.answered(one, SUCCESS if uid in kept else failed.get(uid, status))
        return kept


def multipart(series: Series, some: Sequence[Slice]) -> bytes:
    """Return the body of a request with these slices as Part 10 files."""
    parts = []
    for one in some:
        meta = FileMeta(
            sop_class_uid=CT_IMAGE,
            sop_instance_uid=one.sop_instance_uid,
            transfer_syntax_uid=EXPLICIT,
            origin=TransferRoute(calling_aet=series.calling_aet, called_aet="", peer_host=""),
        )
        head = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        parts.append(head + encode(meta) + one.data_set + b"\r\n")
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()

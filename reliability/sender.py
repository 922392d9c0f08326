"""A scanner that sends a series until every slice is acknowledged, whatever happens to its connection."""

import socket
import threading
import time
from collections import deque

from typing_extensions import override

from reliability.series import SUCCESS, AnswerLog, Series, Slice
from reliability.wire import ConnectionBroken, NoAnswer, WirePeer

CALLED_AET = "CONTOURNODE"
_PAUSE_S = 0.05


class Scanner(threading.Thread):
    """Sends one series in a separate thread; what is not acknowledged is sent again on another association."""

    def __init__(self, series: Series, port: int, answers: AnswerLog, *, persist_s: float = 120.0) -> None:
        super().__init__(name=f"scanner-{series.calling_aet}", daemon=True)
        self._series = series
        self._port = port
        self._answers = answers
        self._persist_s = persist_s
        self._left = deque(series.slices)
        self.gives_up = threading.Event()

    @property
    def has_sent_all(self) -> bool:
        """Whether every slice has been acknowledged."""
        return not self._left

    @override
    def run(self) -> None:
        """Send until nothing is left, it gives up, or the time is over."""
        deadline = time.monotonic() + self._persist_s
        while self._left and not self.gives_up.is_set() and time.monotonic() < deadline:
            try:
                with WirePeer(self._port) as peer:
                    peer.associate(called=CALLED_AET, calling=self._series.calling_aet)
                    self._send(peer)
                    peer.release()
            except (ConnectionBroken, NoAnswer):
                time.sleep(_PAUSE_S)

    def _send(self, peer: WirePeer) -> None:
        """Send each remaining slice once on one association; a refused one waits for the next."""
        for _ in range(len(self._left)):
            one = self._left[0]
            if self._store(peer, one) == SUCCESS:
                self._left.popleft()
            else:
                self._left.rotate(-1)
                time.sleep(_PAUSE_S)
            if self.gives_up.is_set():
                return

    def _store(self, peer: WirePeer, one: Slice) -> int:
        try:
            status = peer.store(one.sop_instance_uid, one.data_set)
        except ConnectionBroken:
            self._answers.broke()
            raise
        except NoAnswer:
            self._answers.kept_silent(one)
            raise
        self._answers.answered(one, status)
        return status


def listens(port: int) -> bool:
    """Tell whether a process accepts connections on a loopback port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

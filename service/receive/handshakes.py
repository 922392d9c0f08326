"""Answers to association requests, remembered: who sends one image an association asks the same each time."""

from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock

from service.receive.negotiation import Agreement, negotiate

REMEMBERED = 64
LONGEST_REMEMBERED_BYTES = 16 * 1024  # storescu's 128 contexts take 9.6


class Handshakes:
    """Works out the answer to each different request once. Safe to use from many threads.

    To decode and answer a request with 128 contexts, as DCMTK's storescu makes it, takes 20 ms of processor time.
    """

    def __init__(self, supported: Mapping[str, frozenset[str]], *, maximum_pdu_bytes: int) -> None:
        """``supported``: transfer syntaxes by SOP class."""
        self._supported = supported
        self._maximum_pdu_bytes = maximum_pdu_bytes
        self._known: OrderedDict[bytes, Agreement] = OrderedDict()
        self._lock = Lock()  # held while one is worked out: who asks the same at this moment waits for it

    def agreement(self, pdu: bytes) -> Agreement:
        """Returns the answer to a whole A-ASSOCIATE-RQ PDU of somebody who was let in.

        Raises:
            MalformedRequest: it cannot be answered.
        """
        with self._lock:
            known = self._known.get(pdu)
            if known is not None:
                self._known.move_to_end(pdu)
                return known
            agreement = negotiate(pdu, self._supported, maximum_pdu_bytes=self._maximum_pdu_bytes)
            if len(pdu) <= LONGEST_REMEMBERED_BYTES:
                self._known[pdu] = agreement
                if len(self._known) > REMEMBERED:
                    self._known.popitem(last=False)
            return agreement

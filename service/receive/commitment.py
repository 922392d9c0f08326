"""Storage commitment reports (N-EVENT-REPORT, PS3.4 J.3.3) from destinations."""

import io
import logging
import struct
from collections.abc import Iterator

from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian
from pynetdicom.dsutils import decode

from service.dimse.commands import DimseRequest
from service.dimse.negotiation import AcceptedContext
from service.dimse.statuses import Status
from service.receive.store_handler import Response
from service.scu.commitment import read_report
from service.store import Commitments, DatabaseUnavailable

log = logging.getLogger(__name__)

_MOST_BYTES = 1024 * 1024
_MALFORMED = (
    ArithmeticError,
    AttributeError,
    LookupError,
    NotImplementedError,
    TypeError,
    ValueError,
    struct.error,
)


class CommitmentReports:
    """Records reports. Thread-safe."""

    def __init__(self, commitments: Commitments) -> None:
        self._commitments = commitments

    def take(
        self, request: DimseRequest, context: AcceptedContext, data_set: Iterator[memoryview]
    ) -> Response:
        """Record a report and return its response; SUCCESS only once committed. ``data_set`` may be left unread."""
        try:
            report = read_report(_decoded(context, data_set))
            is_known = self._commitments.record(
                report.transaction_uid, kept=report.kept, failed=report.failed
            )
        except _MALFORMED as error:
            return _refused(request, f"no report of storage commitment: {type(error).__name__}")
        except DatabaseUnavailable:
            log.exception("storage commitment report not recorded: database")
            return _refused(request, "database not available")
        if not is_known:
            return _refused(request, "nothing was asked under this Transaction UID")
        log.info("storage commitment reported", extra={"transaction_uid": report.transaction_uid})
        return Response(status=Status.SUCCESS)


def _decoded(context: AcceptedContext, data_set: Iterator[memoryview]) -> Dataset:
    data = io.BytesIO()
    for piece in data_set:
        data.write(piece)
        if data.tell() > _MOST_BYTES:
            raise ValueError(f"a report of more than {_MOST_BYTES} bytes")
    data.seek(0)
    syntax = context.transfer_syntax_uid
    information: Dataset = decode(
        data,
        syntax == ImplicitVRLittleEndian,
        syntax != ExplicitVRBigEndian,
        syntax == DeflatedExplicitVRLittleEndian,
    )
    return information


def _refused(request: DimseRequest, comment: str) -> Response:
    log.warning(
        "storage commitment report refused", extra={"reason": comment, "event_type_id": request.event_type_id}
    )
    return Response(status=Status.PROCESSING_FAILURE, comment=comment)

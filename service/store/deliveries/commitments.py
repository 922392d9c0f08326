"""Recording of storage commitment reports."""

from collections.abc import Collection, Mapping

from sqlalchemy import select, update

from service.store.database import Database
from service.store.states import DeliveryState
from service.store.tables.schema import commitment, delivery

NOT_IN_THE_REPORT = 0x0110  # processing failure (PS3.3 C.14.1.1)


class Commitments:
    """Reports of destinations on objects that they were asked to commit to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, transaction_uid: str, *, kept: Collection[str], failed: Mapping[str, int]) -> bool:
        """Record a report, and make its deliveries due at once; False if no request has this UID.

        Args:
            transaction_uid: (0008,1195) of the report.
            kept: SOP Instance UIDs that the destination commits to.
            failed: Failure Reason (0008,1197) by SOP Instance UID. An object in neither counts as failed.
        """
        now = self._database.clock()
        with self._database.writing() as connection:
            asked = connection.execute(
                select(commitment).where(commitment.c.transaction_uid == transaction_uid)
            ).one_or_none()
            if asked is None:
                return False
            uid = asked.sop_instance_uid
            reason = None if uid in kept else failed.get(uid, NOT_IN_THE_REPORT)
            connection.execute(
                update(commitment)
                .where(commitment.c.transaction_uid == transaction_uid)
                .values(reported_at=now, failure_reason=reason)
            )
            connection.execute(
                update(delivery)
                .where(delivery.c.id == asked.delivery_id, delivery.c.state == DeliveryState.UNCONFIRMED)
                .values(not_before=None)
            )
            return True

"""Deliveries to be inserted: one row a parcel."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from service.store.deliveries.completion import BETWEEN
from service.store.records import OutputFile
from service.store.states import DeliveryKind, DeliveryState


def delivery_rows(
    job_id: int, parcels: Sequence[OutputFile], now: datetime, kind: DeliveryKind = DeliveryKind.RESULT
) -> list[dict[str, Any]]:
    """Give the rows of the table delivery; those for a fallback destination stand by."""
    return [
        {
            "job_id": job_id,
            "destination": parcel.destination,
            "path": parcel.file.path,
            "size_bytes": parcel.file.size_bytes,
            "sha256": parcel.file.sha256,
            "kind": kind,
            "fallback_for": BETWEEN.join(parcel.fallback_for),
            "state": DeliveryState.STANDBY if parcel.fallback_for else DeliveryState.PENDING,
            "created_at": now,
        }
        for parcel in dict.fromkeys(parcels)
    ]

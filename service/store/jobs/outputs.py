"""Deliveries to be inserted: one row for each output."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from service.store.deliveries.completion import BETWEEN
from service.store.records import OutputFile
from service.store.states import DeliveryKind, DeliveryState


def delivery_rows(
    job_id: int, outputs: Sequence[OutputFile], now: datetime, kind: DeliveryKind = DeliveryKind.RESULT
) -> list[dict[str, Any]]:
    """Give the rows of the table delivery; those for a fallback destination stand by."""
    return [
        {
            "job_id": job_id,
            "destination": output.destination,
            "path": output.file.path,
            "size_bytes": output.file.size_bytes,
            "sha256": output.file.sha256,
            "kind": kind,
            "fallback_for": BETWEEN.join(output.fallback_for),
            "state": DeliveryState.STANDBY if output.fallback_for else DeliveryState.PENDING,
            "created_at": now,
        }
        for output in dict.fromkeys(outputs)
    ]

"""Builds every long-lived object from Settings; nothing else constructs them."""

from service.wiring.models import embedded_triton, model_specs, templates, triton_client
from service.wiring.roles import (
    assemble,
    audit,
    audit_trail,
    keep,
    receive,
    send,
    sender_counts,
    sweeper,
    triton,
    work,
)
from service.wiring.store import Store, disk_gauge, opened_store, process_name
from service.wiring.watching import look, signs_of_life, watch

__all__ = [
    "Store",
    "assemble",
    "audit",
    "audit_trail",
    "disk_gauge",
    "embedded_triton",
    "keep",
    "look",
    "model_specs",
    "opened_store",
    "process_name",
    "receive",
    "send",
    "sender_counts",
    "signs_of_life",
    "sweeper",
    "templates",
    "triton",
    "triton_client",
    "watch",
    "work",
]

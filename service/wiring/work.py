"""The role that contours: the only one that needs images as arrays, and what writes objects."""

import threading

from service.config import Settings
from service.store import FailureReportQueue, WorkQueue
from service.wiring.model_server import triton_client
from service.wiring.models import model_library, templates
from service.wiring.store import disk_gauge, opened_store, process_name, pulse
from service.work import FailureReports, Worker


def work(settings: Settings, stop: threading.Event) -> None:
    """The role work, until ``stop`` is set and the job in hand is ended."""
    models = model_library(settings)
    with (
        opened_store(settings) as store,
        triton_client(settings) as server,
        pulse(store, settings, "work"),
    ):
        Worker(
            name=process_name("work"),
            queue=WorkQueue(store.database),
            files=store.files,
            server=server,
            models=models,
            templates=templates(settings, models),
            settings=settings,
            failure_reports=FailureReports(
                queue=FailureReportQueue(store.database), files=store.files, settings=settings, models=models
            ),
            has_room=disk_gauge(settings),
        ).run(stop)

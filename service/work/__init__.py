"""Turn jobs into structure sets: claim, heartbeat, the pipeline, and handling of failures."""

from service.work.failure_report import FailureReports
from service.work.worker import Worker

__all__ = ["FailureReports", "Worker"]

"""Jobs to structure sets: claim, heartbeat, the pipeline, and what happens when a step fails."""

from service.work.failure_report import FailureReports
from service.work.worker import Worker

__all__ = ["FailureReports", "Worker"]

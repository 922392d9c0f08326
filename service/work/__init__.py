"""Jobs to structure sets: claim, heartbeat, the pipeline, and what happens when a step fails."""

from service.work.notice import FailureNotices
from service.work.worker import Worker

__all__ = ["FailureNotices", "Worker"]

"""Retention: remove expired files, never before delivery, and verify the others."""

from service.retention.sweep import RemovalReport, RetentionSweep, unlink_removed

__all__ = ["RemovalReport", "RetentionSweep", "unlink_removed"]

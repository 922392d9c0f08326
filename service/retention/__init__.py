"""Removes files whose time is over, never before delivery, and verifies those that stay."""

from service.retention.sweep import RemovalReport, RetentionSweep, unlink_removed

__all__ = ["RemovalReport", "RetentionSweep", "unlink_removed"]

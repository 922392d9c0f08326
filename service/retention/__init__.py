"""Removes files whose time is over, never before delivery, and verifies those that stay."""

from service.retention.sweep import RemovalReport, RetentionSweep

__all__ = ["RemovalReport", "RetentionSweep"]

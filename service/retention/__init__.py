"""Removes files whose time is over, never before delivery, and verifies those that stay."""

from service.retention.sweep import DeletionAudit, RemovalReport, RetentionSweep

__all__ = ["DeletionAudit", "RemovalReport", "RetentionSweep"]

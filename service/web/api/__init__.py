"""The interface for programs, /api/v1: lists, one job, orders, events as they happen."""

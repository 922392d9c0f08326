"""The API for programs, /api/v1: lists, jobs, orders, events as they happen."""

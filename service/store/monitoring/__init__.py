"""Counters, queue statistics, notifications and heartbeats."""

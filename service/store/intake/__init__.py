"""Received instances become rows: group commit, one transaction per batch."""

"""Received instances become rows: group commit, one transaction a batch."""

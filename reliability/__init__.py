"""Trials: the running node under kill -9, cut connections, full disks and malformed input, for any length of time."""

"""Trials: the running node under kill -9, cut connections, full disks and malformed input, for as long as wanted."""

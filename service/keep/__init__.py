"""Removes files whose time is over, never before delivery, and verifies those that stay."""

from service.keep.sweeper import Removed, Sweeper
from service.keep.trail import Deletions

__all__ = ["Deletions", "Removed", "Sweeper"]

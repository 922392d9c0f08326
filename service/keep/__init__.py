"""Removes files whose time is over, never before delivery, and verifies those that stay."""

from service.keep.sweeper import Removed, Sweeper

__all__ = ["Removed", "Sweeper"]

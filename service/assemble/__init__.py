"""Rows to jobs: when a series is complete, and which rule and model it gets."""

from service.assemble.assembler import Assembler
from service.assemble.returned_sets import ReturnedSets
from service.assemble.sender_counts import SenderCounts

__all__ = ["Assembler", "ReturnedSets", "SenderCounts"]

"""Turn received series into queued jobs: decide when a series is complete, and its rule and model."""

from service.assemble.assembler import Assembler
from service.assemble.returned_sets import ReturnedSets
from service.assemble.sender_counts import SenderCounts

__all__ = ["Assembler", "ReturnedSets", "SenderCounts"]

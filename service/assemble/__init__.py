"""Rows to jobs: when a series is complete, and which rule and model it gets."""

from service.assemble.assembler import Assembler

__all__ = ["Assembler"]

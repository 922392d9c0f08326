"""The structure catalogue: names, codes, colours, sides and aliases of structures, as data in catalogue.csv."""

from imaging.structures.catalogue import CATALOGUE, TOTALSEGMENTATOR
from imaging.structures.structure import Code, InterpretedType, Laterality, Structure

__all__ = ["CATALOGUE", "TOTALSEGMENTATOR", "Code", "InterpretedType", "Laterality", "Structure"]

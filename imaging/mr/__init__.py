"""What is particular to MR series.

Volumes that share a series, signal instead of Hounsfield units, planes of any direction.
"""

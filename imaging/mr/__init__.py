"""What is specific to MR series.

Several volumes in one series, signal instead of Hounsfield units, and planes of any orientation.
"""

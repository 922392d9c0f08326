"""What is particular to MR series: volumes that share a series, signal instead of Hounsfield units, planes of any direction."""

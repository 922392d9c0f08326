"""A network between the steps of a bundle.

Arrays (x, y, z) turned and resampled, scaled, windowed, and brought back.
"""

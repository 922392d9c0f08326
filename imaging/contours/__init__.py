"""Masks to polygons and back, exactly; and polygons simplified, smoothed and joined within stated bounds."""

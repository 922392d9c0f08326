"""Masks to polygons and back, exactly; polygons simplified, smoothed and joined within stated bounds."""

"""A network between the steps of a bundle: arrays (x, y, z) turned, resampled, scaled, windowed, and brought back."""

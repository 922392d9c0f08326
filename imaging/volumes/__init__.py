"""Voxel lattices, volumes and masks on them, and how they are turned, cut and drawn."""

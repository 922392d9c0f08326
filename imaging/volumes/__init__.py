"""Voxel lattices, volumes and masks on them, and how they are reoriented, cropped and drawn."""

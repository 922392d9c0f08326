"""nnU-Net v2's inference, step by step as in nnunetv2 2.8: the resulting labels are the same in every voxel."""

"""nnU-Net v2's inference, step by step as nnunetv2 2.8 takes them: the labels it gives are the same in every voxel."""

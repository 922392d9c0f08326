"""Structures as one destination accepts them: the names, contours and limits of its profile."""

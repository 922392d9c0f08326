"""Structures as one destination takes them: its profile's names, contours and limits."""

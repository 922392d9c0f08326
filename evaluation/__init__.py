"""Evaluation of contours: metrics, statistics and reports."""

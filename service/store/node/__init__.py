"""The node itself: its identity, the decision after a mismatch, and its clock."""

"""Delivery: send objects to their destinations by C-STORE or STOW-RS, with retries until taken or refused for good."""

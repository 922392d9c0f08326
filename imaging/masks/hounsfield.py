"""CT values that tell one thing from another."""

BODY_THRESHOLD_HU = -350
"""What is denser may be the patient, what is not is air or lung."""

"""The code that runs inside Triton; torch is imported only here and in training."""

"""The differentiable search for the operations of SOARS's backbone."""

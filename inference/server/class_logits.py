"""Networks with mutually exclusive classes: their answer as one logit per structure, as every pipeline expects."""

import torch


def structure_logits(logits: torch.Tensor) -> torch.Tensor:
    """Map logits of background and classes (batch, 1 + structure, ...) to log odds (batch, structure, ...).

    A structure's log odds are log(p / (1 - p)) of its softmax probability: where they are above 0, it is the most
    probable class, and at a threshold of 0.5 at most one structure has a voxel.
    """
    total = torch.logsumexp(logits, dim=1, keepdim=True)
    log_p = (logits - total)[:, 1:]
    return log_p - torch.log1p(-torch.exp(log_p).clamp(max=1 - 1e-7))

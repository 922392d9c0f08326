"""Structures as classes of one softmax, where not every structure was drawn in every patient."""

import torch


def label_map(labels: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    """Map labels (batch, structure, ...) to classes (batch, ...): 0 is background, of overlapping ones the last."""
    shape = (*drawn.shape, *(1 for _ in labels.shape[2:]))
    present = (labels > 0.5) & drawn.reshape(shape)
    numbers = torch.arange(1, labels.shape[1] + 1, device=labels.device).reshape(
        1, -1, *(1 for _ in labels.shape[2:])
    )
    return (present * numbers).amax(dim=1)


def log_probabilities(logits: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    """Map logits (batch, 1 + structure, ...) to log probabilities; undrawn structures are added to background.

    An unlabelled voxel may belong to a structure that was not drawn: only their sum is known (the marginal
    loss of Shi et al., Medical Image Analysis 2021). The undrawn structures' own entries are -inf.
    """
    log_p = torch.log_softmax(logits, dim=1)
    hidden = torch.cat([torch.ones_like(drawn[:, :1]), ~drawn], dim=1).reshape(
        *log_p.shape[:2], *(1,) * (log_p.dim() - 2)
    )
    background = torch.logsumexp(log_p.masked_fill(~hidden, -torch.inf), dim=1, keepdim=True)
    structures = log_p[:, 1:].masked_fill(hidden[:, 1:], -torch.inf)
    return torch.cat([background, structures], dim=1)

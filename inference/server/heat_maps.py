"""Heat maps of organs' centres: created for training, interpreted in serving (SOARS's detection of small organs)."""

from dataclasses import dataclass

import torch

SD_MM = 8.0
LOWEST_HEAT = 0.1  # a lower maximum is not an organ; the study has no such limit and takes every maximum

Spacing = tuple[float, float, float]
Centre = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Detection:
    """Where an organ's centre is: index (z, y, x), and the heat there."""

    centre_zyx: tuple[int, int, int]
    heat: float


def heat_map(
    centre_zyx: Centre, shape_zyx: tuple[int, int, int], spacing_zyx_mm: Spacing, *, sd_mm: float = SD_MM
) -> torch.Tensor:
    """Return a Gaussian of 1 at the centre (an index, fractions allowed), float32 (z, y, x).

    Its width is in mm on each axis.
    """
    z, y, x = (
        torch.exp(-0.5 * ((torch.arange(length, dtype=torch.float32) - at) * step / sd_mm) ** 2)
        for at, length, step in zip(centre_zyx, shape_zyx, spacing_zyx_mm, strict=True)
    )
    return z[:, None, None] * y[None, :, None] * x[None, None, :]


def heat_maps(labels: torch.Tensor, spacing_zyx_mm: Spacing, *, sd_mm: float = SD_MM) -> torch.Tensor:
    """Map labels (structure, z, y, x) to heat maps round their centres of mass, same shape; zeros for an empty one."""
    maps = torch.zeros(labels.shape, dtype=torch.float32)
    z, y, x = labels.shape[1:]
    for index, label in enumerate(labels):
        places = torch.nonzero(label > 0.5).to(torch.float64)
        if len(places):
            centre = places.mean(dim=0).tolist()
            maps[index] = heat_map((centre[0], centre[1], centre[2]), (z, y, x), spacing_zyx_mm, sd_mm=sd_mm)
    return maps


def detections(heat: torch.Tensor, *, lowest: float = LOWEST_HEAT) -> list[Detection | None]:
    """Return the maximum of each heat map (structure, z, y, x), None where it is below ``lowest``."""
    found: list[Detection | None] = []
    _, rows, columns = heat.shape[1:]
    for one in heat:
        place = int(torch.argmax(one))
        top = float(one.flatten()[place])
        centre = (place // (rows * columns), place // columns % rows, place % columns)
        found.append(Detection(centre_zyx=centre, heat=top) if top >= lowest else None)
    return found

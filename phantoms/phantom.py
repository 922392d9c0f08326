"""What a phantom is: a CT whose structures are known exactly."""

from dataclasses import dataclass

from imaging.volumes.volume import Masks, Volume


@dataclass(frozen=True, kw_only=True, eq=False)
class Phantom:
    """A CT and its structures on the same grid (axes +z, +y, +x of the patient), with its region and seed."""

    volume: Volume
    masks: Masks
    region: str
    seed: int

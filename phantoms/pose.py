"""From a phantom patient's coordinates back to the straight, average patient that the shapes describe."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from phantoms.shapes import Field, Point

_PIVOT_Y, _PIVOT_Z = 12.0, -75.0  # the fourth cervical vertebra
_TURNS_FROM_Z, _TURNS_UP_TO_Z = -135.0, -15.0


class PosedPatient(Protocol):
    """What the pose of a patient depends on."""

    @property
    def seed(self) -> int:
        """The seed of the smooth distortion."""
        ...

    @property
    def scale(self) -> Point:
        """Factors relative to the average patient along x, y and z."""
        ...

    @property
    def pitch_deg(self) -> float:
        """Pitch of the neck; positive: chin up."""
        ...

    @property
    def roll_deg(self) -> float:
        """Roll of the neck."""
        ...

    @property
    def yaw_deg(self) -> float:
        """Yaw of the neck."""
        ...

    @property
    def distortion_mm(self) -> float:
        """The amplitude of the smooth distortion."""
        ...


@dataclass(frozen=True, kw_only=True)
class _Wave:
    """One smooth displacement: amplitude (mm), wave number (1/mm) and phase for each direction."""

    amplitude: Point
    wave_number: Point
    phase: Point


@dataclass(frozen=True, kw_only=True)
class Pose:
    """Scale, bending of the neck and smooth distortion of one patient."""

    scale: Point
    pitch_deg: float
    roll_deg: float
    yaw_deg: float
    waves: tuple[_Wave, ...]

    @classmethod
    def of(cls, how: PosedPatient) -> "Pose":
        """Return the pose that the parameters (and their seed) describe."""
        rng = np.random.default_rng([how.seed, 1])
        waves = []
        for _ in range(4):
            direction = rng.standard_normal(3)
            amplitude = how.distortion_mm * direction / np.linalg.norm(direction)
            lengths = rng.uniform(90, 220, 3)
            waves.append(
                _Wave(
                    amplitude=_three(amplitude),
                    wave_number=_three(2 * np.pi / lengths),
                    phase=_three(rng.uniform(0, 2 * np.pi, 3)),
                )
            )
        return cls(
            scale=how.scale,
            pitch_deg=how.pitch_deg,
            roll_deg=how.roll_deg,
            yaw_deg=how.yaw_deg,
            waves=tuple(waves) if how.distortion_mm else (),
        )

    def straightened(self, x: Field, y: Field, z: Field) -> tuple[Field, Field, Field]:
        """Return points of the patient (open mesh: x, y, z broadcast) as points of the straight patient, in mm."""
        x, y, z = (a / np.float32(s) for a, s in zip((x, y, z), self.scale, strict=True))
        dx, dy, dz = (sum(part) if part else np.float32(0) for part in self._displacements(x, y, z))
        share = np.clip((z - _TURNS_FROM_Z) / (_TURNS_UP_TO_Z - _TURNS_FROM_Z), 0, 1)
        share = share * share * (3 - 2 * share)
        u, v, w = x + dx, y + dy - np.float32(_PIVOT_Y), z + dz - np.float32(_PIVOT_Z)
        v, w = _turn(v, w, share * np.deg2rad(-self.pitch_deg))
        u, w = _turn(u, w, share * np.deg2rad(self.roll_deg))
        u, v = _turn(u, v, share * np.deg2rad(self.yaw_deg))
        u, v, w = np.broadcast_arrays(u, v + np.float32(_PIVOT_Y), w + np.float32(_PIVOT_Z))
        return u.astype(np.float32), v.astype(np.float32), w.astype(np.float32)

    def _displacements(self, x: Field, y: Field, z: Field) -> tuple[list[Field], list[Field], list[Field]]:
        parts: tuple[list[Field], list[Field], list[Field]] = ([], [], [])
        for wave in self.waves:
            value: Field = np.ones((1, 1, 1), np.float32)
            for at, number, phase in zip((x, y, z), wave.wave_number, wave.phase, strict=True):
                value = value * np.sin(at * np.float32(number) + np.float32(phase))
            for axis in range(3):
                parts[axis].append(value * np.float32(wave.amplitude[axis]))
        return parts


def _turn(a: Field, b: Field, angle: Field) -> tuple[Field, Field]:
    if not np.any(angle):
        return a, b
    c, s = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
    return c * a - s * b, s * a + c * b


def _three(values: NDArray[np.float64]) -> Point:
    x, y, z = (float(v) for v in values)
    return x, y, z

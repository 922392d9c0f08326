"""The parameters in which head-and-neck phantoms differ."""

from dataclasses import dataclass, replace

import numpy as np

from phantoms.shapes import Point


@dataclass(frozen=True, kw_only=True)
class HeadNeckParameters:
    """A patient. The defaults are an average adult lying straight; sizes are factors of that patient's.

    The default positions and sizes follow the medians of clinical contours of head-and-neck patients.
    """

    seed: int = 0
    scale: Point = (1.0, 1.0, 1.0)
    pitch_deg: float = 0.0  # positive: chin up
    roll_deg: float = 0.0
    yaw_deg: float = 0.0
    kyphosis: float = 1.0
    distortion_mm: float = 0.0  # smooth random displacement: no patient is symmetric
    neck_girth: float = 1.0
    fat_mm: float = 7.0
    fat_hu: float = -105.0
    muscle_hu: float = 55.0
    brain_hu: float = 34.0
    bone_density: float = 1.0
    parotid_size_right: float = 1.0
    parotid_size_left: float = 1.0
    parotid_hu: float = 0.0
    brainstem_size: float = 1.0
    cord_size: float = 1.0
    larynx_size: float = 1.0
    larynx_shift_mm: float = 0.0  # superior positive
    cartilage_hu: float = 180.0
    airway_size: float = 1.0
    mandible_thickness: float = 1.0
    chin_mm: float = 0.0  # anterior positive
    mouth_open_mm: float = 0.0
    teeth: bool = True
    esophagus_size: float = 1.0
    esophagus_left_mm: float = 4.0
    esophagus_air: bool = False
    vessel_hu: float = 110.0
    shoulder_rise_mm: float = 0.0
    noise_hu: float = 10.0
    couch: bool = True

    def vary(self, rng: np.random.Generator) -> "HeadNeckParameters":
        """Return another plausible patient, drawn about this one."""

        def near(middle: float, spread: float) -> float:
            return float(middle + spread * np.clip(rng.standard_normal(), -2, 2))

        size = near(1.0, 0.035)
        parotid = near(1.0, 0.07)
        return replace(
            self,
            seed=int(rng.integers(2**31)),
            scale=(size * near(1, 0.025), size * near(1, 0.025), size * near(1, 0.03)),
            pitch_deg=near(self.pitch_deg, 6.0),
            roll_deg=near(self.roll_deg, 1.5),
            yaw_deg=near(self.yaw_deg, 2.0),
            kyphosis=near(self.kyphosis, 0.18),
            distortion_mm=float(rng.uniform(0.8, 2.6)),
            neck_girth=near(self.neck_girth, 0.07),
            fat_mm=float(rng.uniform(3.5, 14.0)),
            fat_hu=near(self.fat_hu, 6.0),
            muscle_hu=near(self.muscle_hu, 7.0),
            brain_hu=near(self.brain_hu, 4.0),
            bone_density=near(self.bone_density, 0.12),
            parotid_size_right=parotid * near(1.0, 0.03),
            parotid_size_left=parotid * near(1.0, 0.03),
            parotid_hu=near(self.parotid_hu, 25.0),
            brainstem_size=near(self.brainstem_size, 0.04),
            cord_size=near(self.cord_size, 0.06),
            larynx_size=near(self.larynx_size, 0.07),
            larynx_shift_mm=near(self.larynx_shift_mm, 7.0),
            cartilage_hu=near(self.cartilage_hu, 70.0),
            airway_size=near(self.airway_size, 0.12),
            mandible_thickness=near(self.mandible_thickness, 0.08),
            chin_mm=near(self.chin_mm, 3.0),
            mouth_open_mm=float(rng.choice([0.0, 0.0, 6.0])),
            teeth=bool(rng.random() < 0.8),
            esophagus_size=near(self.esophagus_size, 0.1),
            esophagus_left_mm=near(self.esophagus_left_mm, 2.0),
            esophagus_air=bool(rng.random() < 0.3),
            vessel_hu=float(rng.uniform(45.0, 190.0)),
            shoulder_rise_mm=near(self.shoulder_rise_mm, 9.0),
            noise_hu=float(rng.uniform(4.0, 18.0)),
        )

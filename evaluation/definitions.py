"""What each metric's name means: unit, definition, whether more is better, source. `{t}` stands for a tolerance in mm.

Spacing is (z, y, x) in mm, from the grid. Percentiles interpolate linearly (numpy), except for the area-weighted ones.
Everything except volumes and what must be redrawn is undefined unless both masks have voxels; the state says which has
none.
"""

from dataclasses import dataclass

BORDER = "voxels with a face neighbour outside the mask, beyond the grid is outside; between voxel centres"
SURFELS = "surface elements at voxel corners, weighted by their area"


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A metric: `better` is +1 where more is better, -1 where less is, 0 where neither."""

    name: str
    unit: str
    better: int
    text: str
    source: str = ""

    def at(self, tolerance_mm: float) -> "Definition":
        """Return the definition at one tolerance."""
        name, text = (part.replace("{t}", f"{tolerance_mm:g}") for part in (self.name, self.text))
        return Definition(name=name, unit=self.unit, better=self.better, text=text, source=self.source)


def _one(name: str, unit: str, better: int, text: str, source: str = "") -> Definition:
    return Definition(name=name, unit=unit, better=better, text=text, source=source)


_MNET = "M-Net study (SD, SO); Nikolov 2018"
_ALL = (
    _one("volume_cm3", "cm3", 0, "voxels of the mask under evaluation times the voxel's volume"),
    _one("reference_volume_cm3", "cm3", 0, "voxels of the reference times the voxel's volume"),
    _one("volume_difference_cm3", "cm3", 0, "volume minus reference volume, signed"),
    _one("volume_relative_error_percent", "%", 0, "volume difference over the reference volume, signed", "rectal study"),
    _one("dice", "", 1, "2 |A and B| / (|A| + |B|), by voxels", "Dice 1945; rectal study, eq. 1; M-Net study (VD)"),
    _one("jaccard", "", 1, "|A and B| / |A or B|, by voxels", "lung study (JSC)"),
    _one("sensitivity", "", 1, "share of the reference's voxels that were found", "rectal study, eq. 4"),
    _one("true_positive_rate", "", 1, "the same as sensitivity", "lung study (TPR)"),
    _one("precision", "", 1, "share of the found voxels that are the reference's"),
    _one("specificity_whole_grid", "", 1, "share of the voxels outside the reference that were not found, whole grid: "
         "near 1 for any small structure", "rectal study, eq. 5"),
    _one("specificity_joint_box", "", 1, "the same in the tight box round both masks; undefined where the reference fills it"),
    _one("false_positive_rate_whole_grid", "", -1, "1 - specificity_whole_grid", "lung study (FPR)"),
    _one("false_positive_rate_joint_box", "", -1, "1 - specificity_joint_box"),
    _one("centre_shift_mm", "mm", -1, "distance between the centres of mass"),
    _one("centre_shift_left_mm", "mm", 0, "centre of mass minus the reference's, along the patient's left (LPS x)"),
    _one("centre_shift_posterior_mm", "mm", 0, "the same along posterior (LPS y)"),
    _one("centre_shift_superior_mm", "mm", 0, "the same along superior (LPS z)"),
    _one("hausdorff_mm", "mm", -1, f"largest distance to the other border, both ways; {BORDER}", "SOARS (HD)"),
    _one("hausdorff95_pooled_mm", "mm", -1, f"95th percentile of the distances of both ways together; {BORDER}"),
    _one("hausdorff95_larger_directed_mm", "mm", -1, f"larger of the two ways' 95th percentiles; {BORDER}", "MONAI"),
    _one("hausdorff95_mean_directed_mm", "mm", -1, f"mean of the two ways' 95th percentiles; {BORDER}", "3D Slicer, plastimatch"),
    _one("hausdorff95_of_two_maxima_mm", "mm", -1, "95th percentile of the two directed maxima: the formula as printed",
         "rectal study, eqs. 2 and 3; its values come from 3D Slicer"),
    _one("hausdorff95_area_weighted_mm", "mm", -1, f"larger of the two ways' distances that 95 % of the area reach; {SURFELS}",
         "Nikolov 2018"),
    _one("average_surface_distance_pooled_mm", "mm", -1, f"mean of the distances of both ways together; {BORDER}"),
    _one("average_surface_distance_mean_of_means_mm", "mm", -1, f"mean of the two ways' means; {BORDER}", "SOARS, M-Net study (ASD)"),
    _one("average_surface_distance_from_found_mm", "mm", -1, f"mean distance to the reference's border; {BORDER}"),
    _one("average_surface_distance_from_reference_mm", "mm", -1, f"mean distance from the reference's border; {BORDER}"),
    _one("average_surface_distance_area_weighted_mm", "mm", -1, f"mean of the two ways' means; {SURFELS}", "Nikolov 2018"),
    _one("surface_dice_border_voxels_at_{t}mm", "", 1, f"share of both borders within {{t}} mm of the other; {BORDER}"),
    _one("surface_dice_area_weighted_at_{t}mm", "", 1, f"share of both surfaces within {{t}} mm of the other; {SURFELS}", _MNET),
    _one("surface_overlap_of_reference_at_{t}mm", "", 1, f"share of the reference's surface within {{t}} mm; {SURFELS}", _MNET),
    _one("surface_overlap_of_found_at_{t}mm", "", 1, f"share of the found surface within {{t}} mm; {SURFELS}", _MNET),
    _one("added_path_length_pixels", "", -1, "outline pixels of the reference, slice by slice, that are not the other's", "Vaassen 2020"),
    _one("added_path_length_mm", "mm", -1, "the same times the mean side of a pixel", "Vaassen 2020"),
    _one("slices_to_edit", "", -1, "axial slices on which the outlines differ at all"),
    _one("added_path_length_at_{t}mm_pixels", "", -1, "outline pixels of the reference further than {t} mm from the other's on their slice"),
    _one("added_path_length_at_{t}mm_mm", "mm", -1, "the same times the mean side of a pixel"),
    _one("slices_to_edit_at_{t}mm", "", -1, "axial slices on which an outline is further than {t} mm from the other, or alone"),
    _one("reference_path_length_mm", "mm", 0, "outline pixels of the reference times the mean side of a pixel"),
)  # fmt: skip


def definitions(tolerances_mm: tuple[float, ...]) -> tuple[Definition, ...]:
    """Return the definitions of all metrics that `evaluation.geometry.compare` gives at these tolerances, in order."""
    found: list[Definition] = []
    for definition in _ALL:
        if "{t}" in definition.name:
            found += [definition.at(tolerance) for tolerance in tolerances_mm]
        else:
            found.append(definition)
    return tuple(found)

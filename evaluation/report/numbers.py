"""How values and the headings of metrics are written in reports."""

from collections.abc import Sequence

from evaluation.definitions import definitions
from evaluation.geometry import DEFAULT_TOLERANCES_MM

_SHORT = {
    "dice": "Dice",
    "jaccard": "Jaccard",
    "sensitivity": "sensitivity",
    "true_positive_rate": "true positive rate",
    "precision": "precision",
    "specificity_whole_grid": "specificity, whole grid",
    "specificity_joint_box": "specificity, joint box",
    "false_positive_rate_whole_grid": "false positive rate, whole grid",
    "hausdorff_mm": "HD, mm",
    "hausdorff95_pooled_mm": "HD95 pooled, mm",
    "hausdorff95_larger_directed_mm": "HD95 larger directed, mm",
    "hausdorff95_mean_directed_mm": "HD95 mean directed, mm",
    "hausdorff95_area_weighted_mm": "HD95 area-weighted, mm",
    "average_surface_distance_mean_of_means_mm": "ASD mean of means, mm",
    "average_surface_distance_pooled_mm": "ASD pooled, mm",
    "volume_relative_error_percent": "volume error, %",
    "volume_cm3": "volume, cm3",
    "reference_volume_cm3": "reference volume, cm3",
    "added_path_length_mm": "added path, mm",
    "slices_to_edit": "slices to edit",
    "centre_shift_mm": "centre shift, mm",
    "mean_dose_difference_percent": "mean dose difference, %",
    "mean_dose_difference_absolute_percent": "|mean dose difference|, %",
    "mean_dose_difference_gy": "mean dose difference, Gy",
    "mean_dose_difference_absolute_gy": "|mean dose difference|, Gy",
    "max_dose_difference_percent": "max dose difference, %",
    "max_dose_difference_absolute_percent": "|max dose difference|, %",
    "max_dose_difference_gy": "max dose difference, Gy",
    "max_dose_difference_absolute_gy": "|max dose difference|, Gy",
}
NOTHING = "-"


def heading(name: str) -> str:
    """Return a metric's short name with its unit; the full name is in the list of definitions."""
    for prefix, words in (
        ("surface_dice_area_weighted_at_", "surface Dice area-weighted, {}"),
        ("surface_dice_border_voxels_at_", "surface Dice border voxels, {}"),
        ("surface_overlap_of_reference_at_", "surface overlap of reference, {}"),
        ("surface_overlap_of_found_at_", "surface overlap of found, {}"),
    ):
        if name.startswith(prefix):
            return words.format(name.removeprefix(prefix).replace("mm", " mm"))
    return _SHORT.get(name, name.replace("_", " "))


def digits(name: str) -> int:
    """Return the number of decimals with which a metric is written."""
    if "path_length" in name or name.startswith("slices_to_edit"):
        return 0
    if name.endswith("percent"):
        return 1
    if name.endswith(("_mm", "_cm3", "_gy")) and "surface_dice" not in name and "surface_overlap" not in name:
        return 2
    return 4 if name.startswith(("false_positive", "specificity")) else 3


def written(name: str, value: float | None) -> str:
    """Return a metric's value, or a dash where it is not defined."""
    return NOTHING if value is None else f"{value:.{digits(name)}f}"


def spread(name: str, values: Sequence[float]) -> str:
    """Return mean and sample standard deviation, or a single value alone."""
    if not values:
        return NOTHING
    mean = sum(values) / len(values)
    if len(values) == 1:
        return written(name, mean)
    sd = (sum((v - mean) ** 2 for v in values) / (len(values) - 1)) ** 0.5
    return f"{mean:.{digits(name)}f} ± {sd:.{digits(name)}f}"


def probability(p: float | None) -> str:
    """Return a p value as it is written in papers."""
    if p is None:
        return NOTHING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def better(name: str, tolerances_mm: tuple[float, ...] = DEFAULT_TOLERANCES_MM) -> int:
    """Return +1 where more of a metric is better, -1 where less is, 0 where neither."""
    for definition in definitions(tolerances_mm):
        if definition.name == name:
            return definition.better
    return -1 if "absolute" in name else 0

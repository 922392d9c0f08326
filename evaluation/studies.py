"""The tables of the published studies: which metrics, under our full names, and which test they used."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from evaluation.statistics import SampleTest, paired_t, paired_wilcoxon

TwoSampleTest = Callable[[Sequence[float], Sequence[float]], SampleTest]


@dataclass(frozen=True, kw_only=True)
class PublishedStudy:
    """What a study's tables show. `{t}` in a name stands for the first requested tolerance."""

    title: str
    metrics: tuple[str, ...]
    test: TwoSampleTest = paired_wilcoxon
    dose_metrics: tuple[str, ...] = (
        "mean_dose_difference_absolute_percent",
        "max_dose_difference_absolute_percent",
    )

    def names(self, tolerances_mm: tuple[float, ...]) -> tuple[str, ...]:
        """Return the metrics' names at the first tolerance."""
        first = f"{tolerances_mm[0]:g}" if tolerances_mm else ""
        return tuple(name.replace("{t}", first) for name in self.metrics if first or "{t}" not in name)


STUDIES: Mapping[str, PublishedStudy] = MappingProxyType(
    {
        "all": PublishedStudy(
            title="overlap, distance, surface and effort",
            metrics=(
                "dice",
                "hausdorff95_pooled_mm",
                "average_surface_distance_mean_of_means_mm",
                "surface_dice_area_weighted_at_{t}mm",
                "volume_relative_error_percent",
                "added_path_length_mm",
            ),
        ),
        "rectal": PublishedStudy(
            title="rectal CTV and organs (DpnUNet): DSC, 95HD of 3D Slicer, sensitivity, specificity, volume",
            metrics=(
                "dice",
                "hausdorff95_mean_directed_mm",
                "sensitivity",
                "specificity_whole_grid",
                "volume_relative_error_percent",
            ),
        ),
        "lung": PublishedStudy(
            title="lung GTV (modified ResNet): DSC, JSC, TPR, FPR; Student's t",
            metrics=("dice", "jaccard", "true_positive_rate", "false_positive_rate_whole_grid"),
            test=paired_t,
        ),
        "cervix": PublishedStudy(
            title="cervical CTV (Mnet_IM): ASD, HD95, SD, SO, VD",
            metrics=(
                "average_surface_distance_mean_of_means_mm",
                "hausdorff95_area_weighted_mm",
                "surface_dice_area_weighted_at_{t}mm",
                "surface_overlap_of_reference_at_{t}mm",
                "dice",
            ),
        ),
        "head-neck": PublishedStudy(
            title="head and neck organs (SOARS): DSC, HD, ASD, dose differences",
            metrics=("dice", "hausdorff_mm", "average_surface_distance_mean_of_means_mm"),
        ),
        "dice": PublishedStudy(title="DeepLabV3+ model: Dice", metrics=("dice",)),
    }
)

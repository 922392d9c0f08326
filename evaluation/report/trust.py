"""The page that shows what the trust score is worth: ROC, calibration, weights, what it missed, its limits."""

from evaluation.report.figures import line_plot, scatter_plot
from evaluation.report.page import Figure, Page, Section, Table
from evaluation.trust import TrustQuality
from inference.contract.trust import TrustWeights

LIMITS = (
    "The score knows a structure's size, place, density, probability and symmetry, and how such structures fared in other "
    "patients. It does not see the outline: a wrong contour of usual size in a usual place passes it.",
    "It was learned on one model and few patients of one source; for another model, scanner or clinic it has to be learned again.",
    "The truth is one clinician's contour. Where clinical contours are partial, a good contour counts as bad.",
    "It orders what a person looks at first. It replaces no look.",
)


def trust_page(quality: TrustQuality, weights: TrustWeights) -> Page:
    """Return the page: the score's quality on patients left out, and the weights learned on all of them."""
    bad = quality.good.count(False)
    summary = [
        f"{len(quality.scores)} structures, {bad} of them under a Dice of {weights.good_dice:g}; every score was learned "
        "without the patient it scores.",
        f"Area under the ROC curve {quality.auc:.2f} (95 % by resampling patients: {quality.auc_low:.2f} to "
        f"{quality.auc_high:.2f}); knowing only which structure it is: {quality.auc_structure_alone:.2f}.",
        f"Brier score {quality.brier:.3f}; a constant guess: {quality.brier_constant:.3f}. Rank correlation with Dice: "
        f"{quality.rank_correlation:.2f}.",
    ]
    points: dict[str, list[tuple[float, float]]] = {}
    for instance, score in zip(quality.instances, quality.scores, strict=True):
        points.setdefault(instance.code, []).append((score, instance.dice))
    calibration = ([c[0] for c in quality.calibration], [c[1] for c in quality.calibration])
    passed = [
        (i.patient, i.code, f"{i.dice:.2f}", f"{score:.2f}")
        for i, score in zip(quality.instances, quality.scores, strict=True)
        if i.dice < weights.good_dice and score >= 0.8
    ]
    return Page(
        title="Trust in one case without truth",
        subtitle="a score for each structure against its real Dice, on patients left out",
        sections=[
            Section(
                title="What it is worth",
                items=summary,
                figures=[
                    Figure(caption="Bad structures flagged against good ones flagged", svg=line_plot({"score": quality.roc}, "share of good structures flagged", "share of bad structures flagged")),
                    Figure(caption="Calibration in groups of equal size", svg=line_plot({"score": calibration}, "score", "share that was good")),
                    Figure(caption="Score and Dice of every structure", svg=scatter_plot(points, "score", "Dice"), wide=True),
                ],
            ),
            Section(
                title="What it missed",
                tables=[Table(title=f"Under a Dice of {weights.good_dice:g} and scored 0.8 or more", columns=("patient", "structure", "Dice", "score"), rows=passed)],
            ),
            Section(title="Limits", items=LIMITS),
            Section(
                title="Weights",
                tables=[
                    Table(
                        title="",
                        columns=("measurement", "mean", "SD", "weight of one SD"),
                        rows=[
                            (name, f"{weights.means[name]:.2f}", f"{weights.scales[name]:.2f}", f"{weight:+.2f}")
                            for name, weight in weights.weights.items()
                        ],
                    )
                ],
            ),
        ],
    )  # fmt: skip

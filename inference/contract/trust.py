"""The weights of the trust score, as a contract holds them; `inference.trust` computes the score."""

from pydantic import Field, model_validator
from typing_extensions import Self

from inference.contract.values import ContractPart, StructureCode

FEATURES = (
    "volume",
    "extent",
    "place",
    "density",
    "improbability",
    "cut",
    "findings",
    "asymmetry",
    "pieces",
    "usual",
)


class TrustWeights(ContractPart):
    """A learned score: weights of the standardised measurements, what is usual for each structure, and its origin."""

    learned_from: str
    good_dice: float = Field(gt=0.0, lt=1.0)
    intercept: float
    means: dict[str, float]
    scales: dict[str, float]
    weights: dict[str, float]
    usual_dice: dict[StructureCode, float]  # mean over the patients that it was learned from

    @model_validator(mode="after")
    def _names_every_measurement(self) -> Self:
        for field in ("means", "scales", "weights"):
            if set(getattr(self, field)) != set(FEATURES):
                raise ValueError(f"{field} must name each of {', '.join(FEATURES)}, and nothing else")
        if any(scale <= 0 for scale in self.scales.values()):
            raise ValueError("scales must be above 0")
        return self

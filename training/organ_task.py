"""Organs in a CT by patches: samples from cases, the masked loss, and validation with the served predictor."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import nn

from evaluation.overlap import dice
from imaging.volumes.rendering import picture
from imaging.volumes.volume import Mask, Masks, Volume
from inference.contract import ModelContract, SliceStacks
from inference.server.networks.catalogue import build_network
from inference.server.networks.uanet import Uanet
from inference.server.pipelines.catalogue import build_pipeline
from inference.server.predictor import ServedPredictor
from training.augment import Cutting, draw_patch
from training.cases import Case, CaseSource, TrainingCases, validation_cases
from training.guides import Guides
from training.loop import Batch, Figures
from training.losses.catalogue import LOSSES
from training.recipe import Recipe, RecipeRefused
from training.samples import network_sample, patch_size
from training.validation import grid_of

Pair = tuple[str, NDArray[np.bool_], NDArray[np.bool_]]  # structure, found, drawn
Predicted = tuple[Case, list[Pair]]

_HEAD_BIAS = -4.0  # sigmoid(-4): a structure fills about a fiftieth of a patch


@dataclass(frozen=True, kw_only=True)
class Beside:
    """The place of a network in a pipeline of several.

    The role that learns, its structures, the frozen networks, and the guides that it gets from them.
    """

    role: str
    codes: tuple[str, ...]
    frozen: Mapping[str, nn.Module] = field(default_factory=dict)
    guides: Guides | None = None


class OrganTask:
    """A Task for one network of a contract, on the training and validation patients of a source."""

    def __init__(
        self,
        recipe: Recipe,
        source: CaseSource,
        device: torch.device | None = None,
        beside: Beside | None = None,
    ) -> None:
        """Check that data and recipe fit. Raises RecipeRefused, NotForTraining."""
        self.recipe, self.contract = recipe, recipe.draft()
        self._source, self.device = source, device or torch.device("cpu")
        self.how = self.contract.native.pipeline
        if beside is None and len(self.how.roles) > 1:
            raise RecipeRefused(
                f"this task trains one network, but the pipeline {self.how.name} has {', '.join(self.how.roles)}"
            )
        self.beside = beside or Beside(role=self.how.roles[0], codes=self.contract.labels)
        self.role, self.codes = self.beside.role, self.beside.codes
        lacking = sorted(set(self.contract.labels) - set(source.structures))
        if lacking:
            raise RecipeRefused(
                f"the dataset has no {', '.join(lacking)}; it has {', '.join(source.structures)}"
            )
        self._order = [source.structures.index(code) for code in self.codes]
        self.training = TrainingCases(source)
        self.validation = validation_cases(source)
        self.cutting = Cutting(
            patch_zyx=recipe.patches.size_zyx or patch_size(self.how),
            structure_weights=self._by_structure(recipe.patches.structure_weights),
            mirror_order=mirror_order(self.codes, self.contract.left_right_pairs),
            augmentation=recipe.augmentation,
        )
        self._check_network()
        self._positive = (
            torch.tensor(self._by_structure(recipe.loss.positive_weights, recipe.loss.positive_weight)) - 1
        )
        self._chance = self._case_chances()

    def _check_network(self) -> None:
        """Refuse a network that cannot be built, or cannot process samples of this size in pixels."""
        definition = self.contract.native.networks[self.role]
        try:
            with torch.device("meta"):
                config: Any = build_network(definition).config
        except ValueError as error:
            raise RecipeRefused(f"contract.runtime.networks.{self.role}: {error}") from error
        if not isinstance(self.how, SliceStacks):
            return
        multiple, served = int(config.multiple_yx), self.how.frame.size_yx
        for size in (*served, *(self.recipe.patches.resized_yx or self.cutting.patch_zyx[1:])):
            if size % multiple:
                raise RecipeRefused(
                    f"{definition.architecture} needs slices whose rows and columns are multiples of {multiple}, not {size}: "
                    "change the pipeline's frame or patches.size_zyx"
                )

    def network(self) -> nn.Module:
        """Build the network: from the recipe's starting weights, or random, with a head biased towards background."""
        network = build_network(self.contract.native.networks[self.role])
        if isinstance(self.how, SliceStacks):  # a step of a 2-D network then costs 20 to 40 % less
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # torch types it without
        if self.recipe.start is not None:
            network.load_state_dict(load_file(self.recipe.start.weights))
            return network
        last = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Conv3d)][-1]
        if last.bias is not None and not isinstance(
            network, Uanet
        ):  # its logits are one structure's, inside its box
            nn.init.constant_(last.bias, _HEAD_BIAS)
        return network

    def sample(self, index: int) -> Batch:
        """Draw a patch of a training case."""
        rng = np.random.default_rng([self.recipe.schedule.seed, index])
        case = self.random_case(rng)
        guides = self.beside.guides
        patch = draw_patch(case, self.cutting, rng, None if guides is None else guides.of(case))
        return network_sample(self.how, patch, self.recipe.patches.resized_yx)

    def random_case(self, rng: np.random.Generator) -> Case:
        """Return a training case, with the learned structures in their order."""
        return self._ordered(
            self.training.case(self.training.names[rng.choice(len(self._chance), p=self._chance)])
        )

    def loss(self, network: nn.Module, batch: Batch, progress: float) -> torch.Tensor:
        """Return the recipe's loss over drawn structures, with the positive weights due at this progress."""
        weights = 1 + self._positive.to(batch.labels.device) * self.recipe.loss.strength(progress)
        try:
            return LOSSES[self.recipe.loss.name](network, batch, weights, progress)
        except ValueError as error:
            raise RecipeRefused(f"loss.name {self.recipe.loss.name}: {error}") from error

    def validate(self, network: nn.Module) -> Figures:
        """Return each structure's mean Dice with the served predictor, over cases where it was drawn; and the mean."""
        by_case = self.scores(network)
        found = {
            label: float(np.mean([row[label] for row in by_case.values() if label in row]))
            for label in self.codes
            if any(label in row for row in by_case.values())
        }
        return {**found, "mean": float(np.mean(list(found.values())))} if found else {}

    def scores(self, network: nn.Module) -> dict[str, dict[str, float]]:
        """Return Dice by case and learned structure, where it was drawn."""
        return dice_by_case(self.predicted(network))

    def predicted(self, network: nn.Module) -> Iterator[Predicted]:
        """Return validation cases, each with (structure, found, drawn) of the learned structures drawn in it."""
        return predicted(self._predictor(network), self.contract, self.validation_cases(), self.codes)

    def validation_cases(self) -> Iterator[Case]:
        """Return every validation case, with the learned structures in their order."""
        return (self._ordered(self._source.case(name)) for name in self.validation)

    def _predictor(self, network: nn.Module) -> ServedPredictor:
        return build_pipeline(self.contract, {**self.beside.frozen, self.role: network}, self.device)

    def training_cases(self) -> Iterator[Case]:
        """Return every training case, with the learned structures in their order."""
        return (self._ordered(case) for case in self.training)

    def picture(self, network: nn.Module) -> NDArray[np.uint8] | None:
        """Draw the first validation case with what the network finds."""
        if not self.validation:
            return None
        case = self._source.case(self.validation[0])
        planes = self._predictor(network).predict(np.array(case.hu_zyx), case.spacing_zyx_mm).planes
        masks = {label: Mask.from_full(_bit(planes, i)) for i, label in enumerate(self.contract.labels)}
        grid = grid_of(case)
        volume = Volume(array_zyx=np.array(case.hu_zyx), grid=grid)
        return picture(volume, Masks(grid=grid, by_code=masks), f"{case.name}, predicted")

    def _ordered(self, case: Case) -> Case:
        """Return the case with the learned structures in their order."""
        if self._order == list(range(len(case.drawn))):
            return case
        return case.with_structures(self._order)

    def _by_structure(self, given: Mapping[str, float], usual: float = 1.0) -> tuple[float, ...]:
        return tuple(given.get(label, usual) for label in self.codes)

    def _case_chances(self) -> NDArray[np.float64]:
        given = self.recipe.patches.case_weights
        if not given:
            return np.full(len(self.training), 1 / len(self.training))
        weights = np.ones(len(self.training))
        for k, case in enumerate(self.training_cases()):
            drawn = {code for code, flag in zip(self.codes, case.drawn, strict=True) if flag}
            weights[k] = max([1.0, *(factor for code, factor in given.items() if code in drawn)])
        return np.asarray(weights / weights.sum())


def mirror_order(codes: Sequence[str], pairs: Sequence[tuple[str, str]]) -> tuple[int, ...]:
    """Return, for each structure, the index of the one that takes its place in a left-right mirror image."""
    partner = {a: b for pair in pairs for a, b in (pair, pair[::-1])}
    return tuple(codes.index(partner.get(code, code)) for code in codes)


def predicted(
    predictor: ServedPredictor, contract: ModelContract, cases: Iterable[Case], codes: Sequence[str]
) -> Iterator[Predicted]:
    """Yield each case with (structure, found by a served predictor, drawn) for the structures drawn in it.

    The cases' structures are ``codes``, in this order.
    """
    places = [contract.labels.index(code) for code in codes]
    for case in cases:
        planes = predictor.predict(np.array(case.hu_zyx), case.spacing_zyx_mm).planes
        yield (
            case,
            [
                (code, _bit(planes, place), case.mask(index))
                for index, (code, place) in enumerate(zip(codes, places, strict=True))
                if case.drawn[index]
            ],
        )


def dice_by_case(found: Iterable[Predicted]) -> dict[str, dict[str, float]]:
    """Return Dice by case and structure."""
    return {case.name: {code: dice(mask, truth) for code, mask, truth in pairs} for case, pairs in found}


def _bit(planes: NDArray[np.uint8], index: int) -> NDArray[np.bool_]:
    return np.asarray((planes[index // 8] >> np.uint8(index % 8)) & np.uint8(1), np.bool_)

"""SOARS's small and hard organs: the task of detecting them by heat maps, and that of contouring one in its volume."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from evaluation.overlap import dice
from inference.contract import ModelContract, SmallOrgan, Stratified
from inference.server.heat_maps import Detection, detections, heat_map
from inference.server.networks.catalogue import build_network
from inference.server.pipelines.catalogue import build_pipeline
from inference.server.pipelines.placement import Answer, Placement, body_placement
from inference.server.pipelines.stratified import StratifiedPipeline, windowed
from inference.server.predictor import Spacing
from inference.server.volumes_of_interest import voi_size
from training.augment import draw_patch
from training.cases import Case
from training.guides import GuideMaps, Guides
from training.loop import Batch, Figures
from training.losses.catalogue import LOSSES
from training.organ_task import OrganTask
from training.samples import network_sample

MISS_MM = 4.0  # assumed error (sd) of a detection along each axis when volumes are cut for training


@dataclass(frozen=True, kw_only=True, eq=False)
class HeatMaps:
    """The heat maps of a case's structures, computed when they are cut with a patch."""

    centres: NDArray[np.float64]  # (structure, 3), index; NaN where a structure is absent
    spacing_zyx_mm: Spacing
    mirror_order: tuple[int, ...]

    @classmethod
    def of(cls, case: Case, mirror_order: tuple[int, ...]) -> "HeatMaps":
        """Return heat maps about the centres of mass of a case's structures."""
        rows = [places.mean(axis=0) if len(places) else np.full(3, np.nan) for places in case.places]
        return cls(centres=np.array(rows), spacing_zyx_mm=case.spacing_zyx_mm, mirror_order=mirror_order)

    def cut(self, start: NDArray[np.int_], size: tuple[int, ...]) -> torch.Tensor:
        """Return a block (structure, z, y, x) of heat, 0 to 1."""
        z, y, x = size
        maps = torch.zeros((len(self.centres), z, y, x))
        for index, centre in enumerate(self.centres - start):
            if np.isfinite(centre).all():
                maps[index] = heat_map((centre[0], centre[1], centre[2]), (z, y, x), self.spacing_zyx_mm)
        return maps


@dataclass(frozen=True, kw_only=True, eq=False)
class _Beside:
    """Guides first, heat maps after them."""

    guides: GuideMaps | None
    heat: HeatMaps

    @property
    def guide_count(self) -> int:
        return 0 if self.guides is None else len(self.guides.planes)

    @property
    def mirror_order(self) -> tuple[int, ...]:
        first = () if self.guides is None else self.guides.mirror_order
        return (*first, *(self.guide_count + place for place in self.heat.mirror_order))

    def cut(self, start: NDArray[np.int_], size: tuple[int, ...]) -> torch.Tensor:
        heat = self.heat.cut(start, size)
        return heat if self.guides is None else torch.cat([self.guides.cut(start, size), heat])


class DetectorTask:
    """Learn one heat map per organ; a good detector places the volumes of interest so that they contain the organs."""

    def __init__(self, organs: OrganTask) -> None:
        """Take ``organs``, the task of the role ``detector``, with its cases, cutting, guides and loss."""
        self.organs, self.how = organs, _stratified(organs.contract)

    def network(self) -> nn.Module:
        """Build the network with random weights: heat is linear and starts near 0."""
        return build_network(self.organs.contract.native.networks[self.organs.role])

    def sample(self, index: int) -> Batch:
        """Draw a patch of a training case with the heat maps of its organs as labels."""
        rng = np.random.default_rng([self.organs.recipe.schedule.seed, index])
        case, guides = self.organs.random_case(rng), self.organs.beside.guides
        heat = HeatMaps.of(case, self.organs.cutting.mirror_order)
        beside = _Beside(guides=None if guides is None else guides.of(case), heat=heat)
        patch = draw_patch(case, self.organs.cutting, rng, beside)
        assert patch.maps is not None  # they were passed above
        split = beside.guide_count
        seen = replace(patch, maps=patch.maps[:split] if split else None, labels=patch.maps[split:])
        return network_sample(self.how, seen)

    def loss(self, network: nn.Module, batch: Batch, progress: float) -> torch.Tensor:
        """Return the squared error of the heat maps."""
        return self.organs.loss(network, batch, progress)

    def validate(self, network: nn.Module) -> Figures:
        """Return the mean share of each organ inside its volume of interest, and their mean."""
        shares: dict[str, list[float]] = {code: [] for code in self.organs.codes}
        for case in self.organs.validation_cases():
            look = SeenCase.at(self.pipeline(network), case, self.organs.beside.guides)
            found = look.detected() if look is not None else {}
            for index, organ in enumerate(self.how.small):
                if case.drawn[index]:
                    shares[organ.code].append(_share(look, organ, found.get(organ.code), case.mask(index)))
        means = {code: float(np.mean(values)) for code, values in shares.items() if values}
        return {**means, "mean": float(np.mean(list(means.values())))} if means else {}

    def detected(self, network: nn.Module) -> dict[str, dict[str, Detection]]:
        """Return each validation case's detections by organ, as serving finds them."""
        pipeline, guides = self.pipeline(network), self.organs.beside.guides
        looks = {case.name: SeenCase.at(pipeline, case, guides) for case in self.organs.validation_cases()}
        return {name: look.detected() if look is not None else {} for name, look in looks.items()}

    def picture(self, network: nn.Module) -> None:
        """Return None: heat is not drawn."""

    def pipeline(self, network: nn.Module) -> StratifiedPipeline:
        """Return the served pipeline with this detector; its other networks are not run."""
        return _pipeline(self.organs, network)


class VoiTask:
    """Learn one small organ inside its volume of interest, scored where the detector found it."""

    def __init__(self, organs: OrganTask, detected: Mapping[str, Detection | None]) -> None:
        """Take ``organs``, the task of a role ``voi_CODE``, for the organ and, if it has one, its partner."""
        self.organs, self.how = organs, _stratified(organs.contract)
        self._organ = next(organ for organ in self.how.small if organ.role == organs.role)
        self._detected = detected
        voxels = self.how.voxels
        steps = (voxels.slice_mm, voxels.in_plane_mm, voxels.in_plane_mm)
        multiple = (self.how.voi_multiple,) * 3
        size = voi_size(self._organ.largest_extent_mm, steps, multiple=multiple, factor=self.how.voi_factor)
        vary = organs.recipe.augmentation
        self._mirror_share = vary.mirror_share
        still = vary.model_copy(update={"mirror_share": 0.0})
        self._cutting = replace(organs.cutting, patch_zyx=size, augmentation=still)
        self.network = organs.network

    def sample(self, index: int) -> Batch:
        """Cut the volume round the organ, a few mm off; or round its partner, mirrored."""
        rng = np.random.default_rng([self.organs.recipe.schedule.seed, index])
        case, place, mirrored = self._chosen(rng)
        miss = rng.normal(0.0, MISS_MM, 3) / np.array(case.spacing_zyx_mm)
        centre = case.places[place].mean(axis=0) + miss
        guides = self._guides(case)
        patch = draw_patch(case.with_structures((place,)), self._cutting, rng, guides, centre)
        if mirrored:
            patch = patch.mirrored((0,), () if guides is None else guides.mirror_order)
        return network_sample(self.how, patch)

    def loss(self, network: nn.Module, batch: Batch, progress: float) -> torch.Tensor:
        """Return the recipe's loss for the one structure."""
        return LOSSES[self.organs.recipe.loss.name](network, batch, batch.labels.new_ones(1), progress)

    def _chosen(self, rng: np.random.Generator) -> tuple[Case, int, bool]:
        """Return a case that has the organ or its partner, the structure's index, and whether to mirror it."""
        for _ in range(1000):
            case = self.organs.random_case(rng)
            mirrored = bool(rng.random() < self._mirror_share)
            place = self._cutting.mirror_order[0] if mirrored else 0
            if len(case.places[place]):
                return case, place, mirrored
        raise ValueError(f"{self._organ.code}: not found in a thousand drawn training cases")

    def validate(self, network: nn.Module) -> Figures:
        """Return the organ's mean Dice, which is 0 where the detector did not find it."""
        pipeline = _pipeline(self.organs, network)
        rows = [
            self._dice(pipeline, case, self._detected.get(case.name))
            for case in self.organs.validation_cases()
            if case.drawn[0]
        ]
        return {self._organ.code: float(np.mean(rows)), "mean": float(np.mean(rows))} if rows else {}

    def _dice(self, pipeline: StratifiedPipeline, case: Case, detection: Detection | None) -> float:
        look = SeenCase.at(pipeline, case, self.organs.beside.guides if self.how.anchors_in_voi else None)
        if look is None or detection is None:
            return 0.0
        answer = Answer.empty(self.organs.contract, case.hu_zyx.shape)
        pipeline.contour_small(
            self._organ, detection, look.channels(), look.place, answer, case.spacing_zyx_mm
        )
        index = self.organs.contract.labels.index(self._organ.code)
        found = (answer.planes[index // 8] >> np.uint8(index % 8)) & np.uint8(1)
        return dice(found.astype(np.bool_), case.mask(0))

    def _guides(self, case: Case) -> GuideMaps | None:
        guides = self.organs.beside.guides
        return guides.of(case) if guides is not None and self.how.anchors_in_voi else None

    def picture(self, network: nn.Module) -> None:
        """Return None: one small organ shows little."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SeenCase:
    """The input of a pipeline's later strata for one case.

    It is the windowed CT and guides (channel, z, y, x) inside the body's box.
    """

    pipeline: StratifiedPipeline
    ct: torch.Tensor
    guides: torch.Tensor | None
    place: Placement
    steps_mm: Spacing

    @classmethod
    def at(cls, pipeline: StratifiedPipeline, case: Case, guides: Guides | None) -> "SeenCase | None":
        """Return the input for a case; None for a case of air."""
        coarse, place = body_placement(np.array(case.hu_zyx), case.spacing_zyx_mm, pipeline.how)
        if place is None:
            return None
        first = np.array([side.start for side in place.box])
        size = tuple(side.stop - side.start for side in place.box)
        return cls(
            pipeline=pipeline,
            ct=windowed(coarse[place.box], pipeline.how),
            guides=None if guides is None else guides.of(case).cut(first, size),
            place=place,
            steps_mm=case.spacing_zyx_mm,
        )

    def channels(self) -> torch.Tensor:
        """Return the channels (channel, z, y, x) of a network that gets the guides."""
        return self.ct if self.guides is None else torch.cat([self.ct, self.guides])

    def detected(self) -> dict[str, Detection]:
        """Return the detections of the small organs that are found."""
        how = self.pipeline.how
        guides = self.ct[:0] if self.guides is None else self.guides
        found = detections(self.pipeline.heat(self.ct, guides), lowest=how.lowest_heat)
        pairs = zip(how.small, found, strict=True)
        return {organ.code: detection for organ, detection in pairs if detection is not None}


def _share(
    look: SeenCase | None, organ: SmallOrgan, detection: Detection | None, truth: NDArray[np.bool_]
) -> float:
    """Return the share of an organ's voxels inside the volume placed round its detection."""
    if look is None or detection is None:
        return 0.0
    inside = torch.from_numpy(truth[look.place.box])
    z, y, x = inside.shape
    voi = look.pipeline.volume_round(organ, detection, (z, y, x), look.steps_mm)
    return float(inside[voi.volume].sum()) / float(truth.sum())


def _pipeline(organs: OrganTask, network: nn.Module) -> StratifiedPipeline:
    found = build_pipeline(organs.contract, {organs.role: network}, organs.device)
    assert isinstance(found, StratifiedPipeline)
    return found


def _stratified(contract: ModelContract) -> Stratified:
    how = contract.native.pipeline
    assert isinstance(how, Stratified)
    return how

"""SOARS's small and hard organs: the task of finding them by heat maps, and that of contouring one in its volume."""

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

MISS_MM = 4.0  # how far off, axis by axis, a detection is taken to be where a volume is cut for training (sd)


@dataclass(frozen=True, kw_only=True, eq=False)
class HeatMaps:
    """The heat maps of a case's structures, computed where they are cut: maps of a patch."""

    centres: NDArray[np.float64]  # (structure, 3), index; no number where a structure is not there
    spacing_zyx_mm: Spacing
    mirror_order: tuple[int, ...]

    @classmethod
    def of(cls, case: Case, mirror_order: tuple[int, ...]) -> "HeatMaps":
        """About the centres of mass of a case's structures."""
        rows = [places.mean(axis=0) if len(places) else np.full(3, np.nan) for places in case.places]
        return cls(centres=np.array(rows), spacing_zyx_mm=case.spacing_zyx_mm, mirror_order=mirror_order)

    def cut(self, start: NDArray[np.int_], size: tuple[int, ...]) -> torch.Tensor:
        """A block (structure, z, y, x)."""
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
    """Learn a heat map an organ; a good detector lays the volumes of interest so that they hold the organs."""

    def __init__(self, organs: OrganTask) -> None:
        """``organs``: the task of the role ``detector``: its cases, cutting, guides and loss."""
        self.organs, self.how = organs, _stratified(organs.contract)

    def network(self) -> nn.Module:
        """The network with random weights: heat is linear, and begins near 0."""
        return build_network(self.organs.contract.native.networks[self.organs.role])

    def sample(self, index: int) -> Batch:
        """Draw a patch of a training case with the heat maps of its organs as labels."""
        rng = np.random.default_rng([self.organs.recipe.schedule.seed, index])
        case, guides = self.organs.random_case(rng), self.organs.beside.guides
        heat = HeatMaps.of(case, self.organs.cutting.mirror_order)
        beside = _Beside(guides=None if guides is None else guides.of(case), heat=heat)
        patch = draw_patch(case, self.organs.cutting, rng, beside)
        assert patch.maps is not None  # they were given
        split = beside.guide_count
        seen = replace(patch, maps=patch.maps[:split] if split else None, labels=patch.maps[split:])
        return network_sample(self.how, seen)

    def loss(self, network: nn.Module, batch: Batch, progress: float) -> torch.Tensor:
        """The squared error."""
        return self.organs.loss(network, batch, progress)

    def validate(self, network: nn.Module) -> Figures:
        """Mean share of each organ that lies inside its volume of interest; their mean."""
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
        """Where the organs of each validation case are found, as serving finds them."""
        pipeline, guides = self.pipeline(network), self.organs.beside.guides
        looks = {case.name: SeenCase.at(pipeline, case, guides) for case in self.organs.validation_cases()}
        return {name: look.detected() if look is not None else {} for name, look in looks.items()}

    def picture(self, network: nn.Module) -> None:
        """None: heat is not drawn."""

    def pipeline(self, network: nn.Module) -> StratifiedPipeline:
        """The served pipeline with this detector; its other networks are not asked."""
        return _pipeline(self.organs, network)


class VoiTask:
    """Learn one small organ inside its volume of interest; scored where the detector found it."""

    def __init__(self, organs: OrganTask, detected: Mapping[str, Detection | None]) -> None:
        """``organs``: the task of a role ``voi_CODE``; its structures are the organ and, if it has one, its partner."""
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
        """Cut the volume about the organ, off by some mm; or about its partner, in the mirror."""
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
        """The recipe's loss of the one structure."""
        return LOSSES[self.organs.recipe.loss.name](network, batch, batch.labels.new_ones(1), progress)

    def _chosen(self, rng: np.random.Generator) -> tuple[Case, int, bool]:
        """A case that has the organ, and the place of it, or of its partner to be mirrored."""
        for _ in range(1000):
            case = self.organs.random_case(rng)
            mirrored = bool(rng.random() < self._mirror_share)
            place = self._cutting.mirror_order[0] if mirrored else 0
            if len(case.places[place]):
                return case, place, mirrored
        raise ValueError(f"{self._organ.code}: not found in a thousand drawn training cases")

    def validate(self, network: nn.Module) -> Figures:
        """Mean Dice of the organ where the detector found it, 0 where it did not."""
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
        """None: one small organ shows little."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SeenCase:
    """A case as the later strata of a pipeline see it.

    Windowed CT and guides (channel, z, y, x) inside the body's box.
    """

    pipeline: StratifiedPipeline
    ct: torch.Tensor
    guides: torch.Tensor | None
    place: Placement
    steps_mm: Spacing

    @classmethod
    def at(cls, pipeline: StratifiedPipeline, case: Case, guides: Guides | None) -> "SeenCase | None":
        """None for a case of air."""
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
        """What a network beside the guides sees."""
        return self.ct if self.guides is None else torch.cat([self.ct, self.guides])

    def detected(self) -> dict[str, Detection]:
        """The small organs that are found."""
        how = self.pipeline.how
        guides = self.ct[:0] if self.guides is None else self.guides
        found = detections(self.pipeline.heat(self.ct, guides), lowest=how.lowest_heat)
        pairs = zip(how.small, found, strict=True)
        return {organ.code: detection for organ, detection in pairs if detection is not None}


def _share(
    look: SeenCase | None, organ: SmallOrgan, detection: Detection | None, truth: NDArray[np.bool_]
) -> float:
    """The share of an organ's voxels inside the volume that is laid about its detection."""
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

"""Organs in strata (SOARS): anchors, then others guided by them, then small ones detected and contoured in volumes."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from inference.contract import ModelContract, SmallOrgan, Stratified
from inference.server.class_logits import structure_logits
from inference.server.heat_maps import Detection, detections
from inference.server.pipelines.placement import Answer, Placement, body_placement
from inference.server.pipelines.sliding_window import tiled_logits
from inference.server.pipelines.tile_predictor import TILES_AT_ONCE
from inference.server.predictor import Spacing, StageDone, StructurePlanes
from inference.server.volumes_of_interest import VolumeOfInterest, voi_size, volume_of_interest


@dataclass(frozen=True, kw_only=True, eq=False)
class StratifiedPipeline:
    """The networks of all strata by role."""

    contract: ModelContract
    how: Stratified
    networks: Mapping[str, nn.Module]
    device: torch.device

    @classmethod
    def from_contract(
        cls, contract: ModelContract, networks: Mapping[str, nn.Module], device: torch.device
    ) -> "StratifiedPipeline":
        """Build it with the networks of a contract that names this pipeline.

        Raises ValueError where the strata are not the contract's structures.
        """
        how = contract.native.pipeline
        if not isinstance(how, Stratified):
            raise ValueError(f"{how.name} has no strata")
        if set(how.codes) != set(contract.labels):
            odd = sorted(set(how.codes) ^ set(contract.labels))
            raise ValueError(f"strata and structures of {contract.name} differ in {', '.join(odd)}")
        return cls(contract=contract, how=how, networks=networks, device=device)

    def predict(
        self,
        image_zyx: NDArray[np.int16] | NDArray[np.float32],
        spacing_zyx_mm: Spacing,
        stage_done: StageDone = lambda _: None,
    ) -> StructurePlanes:
        """Find the structures in a CT in canonical orientation; an organ that is not detected is empty.

        Memory: the logits of one stratum at a time, and the anchors' probabilities in half precision.
        """
        how = self.how
        answer = Answer.empty(self.contract, image_zyx.shape)
        coarse, place = body_placement(image_zyx, spacing_zyx_mm, how)
        stage_done("resample")
        if place is None:
            return answer.finished()
        ct = windowed(coarse[place.box], how)
        guides = self._anchors(ct, place, answer)
        stage_done("anchors")
        self._mid_level(ct, guides, place, answer)
        stage_done("mid-level")
        steps = tuple(spacing * axis.ratio for spacing, axis in zip(spacing_zyx_mm, place.axes, strict=True))
        self._small(ct, guides, place, answer, (steps[0], steps[1], steps[2]))
        stage_done("small")
        return answer.finished()

    def warm_up(self) -> None:
        """Run every network on tiles of water."""
        tiles = torch.zeros((TILES_AT_ONCE, 1, *self.how.tile_zyx))
        self._ask("anchor", tiles)

    def anchor_probabilities(self, ct: torch.Tensor) -> torch.Tensor:
        """Map windowed CT (1, z, y, x) to the anchors' probabilities (anchor, z, y, x), as later strata see them."""
        return torch.sigmoid(self._tiled("anchor", ct, exclusive=True))

    def heat(self, ct: torch.Tensor, guides: torch.Tensor) -> torch.Tensor:
        """Map windowed CT (1, z, y, x) and the anchors' probabilities to heat maps (small organ, z, y, x)."""
        return self._tiled("detector", self._guided(ct, guides), exclusive=False)

    def _anchors(self, ct: torch.Tensor, place: Placement, answer: Answer) -> torch.Tensor:
        """Write the anchors and return their probabilities (anchor, z, y, x), float16."""
        logits = self._tiled("anchor", ct, exclusive=True)
        for code, found in zip(self.how.anchors, logits, strict=True):
            answer.write(code, found, place)
        return torch.sigmoid(logits).to(torch.float16)

    def _mid_level(self, ct: torch.Tensor, guides: torch.Tensor, place: Placement, answer: Answer) -> None:
        if not self.how.mid_level:
            return
        logits = self._tiled("mid_level", self._guided(ct, guides), exclusive=True)
        for code, found in zip(self.how.mid_level, logits, strict=True):
            answer.write(code, found, place)

    def _small(
        self,
        ct: torch.Tensor,
        guides: torch.Tensor,
        place: Placement,
        answer: Answer,
        steps_mm: tuple[float, float, float],
    ) -> None:
        if not self.how.small:
            return
        found = detections(self.heat(ct, guides), lowest=self.how.lowest_heat)
        seen = torch.cat([ct, guides.to(ct.dtype)]) if self.how.anchors_in_voi else ct
        for organ, detection in zip(self.how.small, found, strict=True):
            if detection is not None:
                self.contour_small(organ, detection, seen, place, answer, steps_mm)

    def contour_small(
        self,
        organ: SmallOrgan,
        detection: Detection,
        seen: torch.Tensor,
        place: Placement,
        answer: Answer,
        steps_mm: tuple[float, float, float],
    ) -> None:
        """Write a detected organ: ``seen`` (channel, z, y, x) is its network's input, on the placement's voxels."""
        voi = self.volume_round(organ, detection, (seen.shape[1], seen.shape[2], seen.shape[3]), steps_mm)
        logits = self._ask(organ.role, voi.cut(seen, outside=0.0)[None])[0, 0]
        answer.write(organ.code, logits[voi.inside], place.within(voi.volume))

    def volume_round(
        self,
        organ: SmallOrgan,
        detection: Detection,
        shape_zyx: tuple[int, int, int],
        steps_mm: tuple[float, float, float],
    ) -> VolumeOfInterest:
        """Place the volume of interest of an organ round the point where it was detected."""
        multiple = (self.how.voi_multiple,) * 3
        size = voi_size(organ.largest_extent_mm, steps_mm, multiple=multiple, factor=self.how.voi_factor)
        return volume_of_interest(detection.centre_zyx, size, shape_zyx)

    def _guided(self, ct: torch.Tensor, guides: torch.Tensor) -> torch.Tensor:
        return torch.cat([ct, guides.to(ct.dtype)]) if self.how.anchors_guide else ct

    def _tiled(self, role: str, channels: torch.Tensor, *, exclusive: bool) -> torch.Tensor:
        def look(tiles: torch.Tensor) -> torch.Tensor:
            found = self._ask(role, tiles)
            return structure_logits(found) if exclusive else found

        how = self.how
        return tiled_logits(channels, look, how.tile_zyx, how.overlap, batch=TILES_AT_ONCE, outside=0.0)

    @torch.no_grad()
    def _ask(self, role: str, channels: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.networks[role](channels.to(self.device))
        return found.to("cpu", torch.float32)


def windowed(hu: torch.Tensor, how: Stratified) -> torch.Tensor:
    """Map HU (z, y, x) to one channel (1, z, y, x), with the window scaled to 0..1 and clipped."""
    low, high = how.window_hu
    return ((hu.to(torch.float32) - low) / (high - low)).clamp_(0.0, 1.0)[None]

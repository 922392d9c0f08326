"""The cost of the plausibility checks on a 512x512x200 CT: python -m bench.plausibility."""

import statistics
import time
from pathlib import Path

import numpy as np

from imaging.anatomy import body_profile, estimate_regions, placements
from imaging.volumes.orientation import canonical
from inference.contract import load_contract
from inference.judgement import judge, region_finding
from phantoms.head_neck import head_neck_grid, make_head_neck

REPEATS = 7
VERSION = Path(__file__).parents[1] / "model_repository" / "hn_oar" / "1"


def main() -> None:
    """Print medians in seconds."""
    grid = head_neck_grid(shape_zyx=(200, 512, 512), spacing_zyx_mm=(2.0, 0.9765625, 0.9765625))
    phantom = make_head_neck(grid=grid)
    limits = load_contract(VERSION).plausibility
    if limits is None:
        raise SystemExit(f"{VERSION} has no limits: python -m training.plausibility")
    before, after = [], []
    upright = canonical(phantom.volume)
    profile = body_profile(upright)
    regions = estimate_regions(profile)
    doubt = region_finding(limits, regions)
    findings = judge(limits, placements(phantom.masks.by_code, upright, profile, regions))
    for _ in range(REPEATS):
        started = time.perf_counter()
        upright = canonical(phantom.volume)
        profile = body_profile(upright)
        regions = estimate_regions(profile)
        doubt = region_finding(limits, regions)
        before.append(time.perf_counter() - started)
        started = time.perf_counter()
        findings = judge(limits, placements(phantom.masks.by_code, upright, profile, regions))
        after.append(time.perf_counter() - started)
    shape = "x".join(str(n) for n in np.roll(grid.shape_zyx, -1))
    print(f"{shape}: {regions.words()}; {doubt or 'the model is for it'}; {len(findings)} findings")
    print(f"region {statistics.median(before):.3f} s, structures {statistics.median(after):.3f} s")


if __name__ == "__main__":
    main()

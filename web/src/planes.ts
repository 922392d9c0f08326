// The three planes through a volume, turned so that right and left, front and back, head and feet stand where they are expected.
import { text } from "./texts";
import type { Grid } from "./volume";

export type PlaneName = "axial" | "coronal" | "sagittal";

export interface Plane {
  name: PlaneName; // its place on the page, and how it cuts an axial series
  title: string; // what it is in the patient: images of MR may lie in any direction
  across: 0 | 1 | 2; // the index axis (z, y, x) that the plane cuts
  horizontal: 0 | 1 | 2; // the index axis from left to right on the screen
  vertical: 0 | 1 | 2; // from top to bottom
  flipsHorizontal: boolean;
  flipsVertical: boolean;
  letters: { left: string; right: string; top: string; bottom: string };
}

const AXES: Record<PlaneName, [0 | 1 | 2, 0 | 1 | 2, 0 | 1 | 2]> = {
  axial: [0, 2, 1],
  coronal: [1, 2, 0],
  sagittal: [2, 1, 0],
};
const POSITIVE = ["L", "P", "H"];
const NEGATIVE = ["R", "A", "F"];
const TITLES: Record<string, string> = {
  H: text("axial"),
  F: text("axial"),
  A: text("coronal"),
  P: text("coronal"),
  L: text("sagittal"),
  R: text("sagittal"),
};
const OPPOSITE: Record<string, string> = { L: "R", R: "L", P: "A", A: "P", H: "F", F: "H" };

// The patient's axis (x, y, z) that a direction follows most.
export function mainAxis(direction: readonly number[]): number {
  const sizes = direction.map(Math.abs);
  return sizes.indexOf(Math.max(...sizes));
}

// The letter of the patient's side that an index axis grows towards.
export function letterOf(direction: readonly number[]): string {
  const axis = mainAxis(direction);
  return (direction[axis]! > 0 ? POSITIVE : NEGATIVE)[axis]!;
}

export function planeOf(name: PlaneName, grid: Grid): Plane {
  const [across, horizontal, vertical] = AXES[name];
  const towardsRight = letterOf(grid.axes_lps[horizontal]);
  const towardsBottom = letterOf(grid.axes_lps[vertical]);
  const flipsHorizontal = "RAH".includes(towardsRight);
  const flipsVertical = "RAH".includes(towardsBottom);
  const right = flipsHorizontal ? OPPOSITE[towardsRight]! : towardsRight;
  const bottom = flipsVertical ? OPPOSITE[towardsBottom]! : towardsBottom;
  return {
    name,
    title: TITLES[letterOf(grid.axes_lps[across])]!,
    across,
    horizontal,
    vertical,
    flipsHorizontal,
    flipsVertical,
    letters: { left: OPPOSITE[right]!, right, top: OPPOSITE[bottom]!, bottom },
  };
}

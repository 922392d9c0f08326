// The volume of a job: its grid, its voxels as they arrive, and the directions of its axes in the patient.
import { text } from "./texts";
export interface Grid {
  shape_zyx: [number, number, number];
  spacing_zyx_mm: [number, number, number];
  origin_lps: [number, number, number];
  axes_lps: [number[], number[], number[]];
  patient_position: string;
  unit: string;
  factor: number;
  window: [number, number];
}

export const SLAB = 16; // slices in one request
const FAST_BYTES_PER_MS = 60_000; // from here on the raw voxels come sooner than compressed ones

export class Volume {
  readonly voxels: Int16Array;
  readonly isThere: Uint8Array; // a byte a slice

  constructor(
    readonly job: number,
    readonly grid: Grid,
  ) {
    const [nz, ny, nx] = grid.shape_zyx;
    this.voxels = new Int16Array(nz * ny * nx).fill(-1024);
    this.isThere = new Uint8Array(nz);
  }

  // Fetch the middle slice first, then all others from the middle outwards; `arrived` is called after each part.
  async load(arrived: (fraction: number) => void): Promise<void> {
    const nz = this.grid.shape_zyx[0];
    const middle = Math.floor(nz / 2);
    const began = performance.now();
    const bytes = await this.fetchPart(`slices/${middle}`, middle);
    const encoding = bytes / Math.max(performance.now() - began, 1) < FAST_BYTES_PER_MS / 20 ? "planes" : "";
    arrived(1 / nz);
    for (const first of fromTheMiddle(nz)) {
      await this.fetchPart(`voxels?first=${first}&count=${SLAB}&encoding=${encoding}`, first);
      arrived(this.isThere.reduce((sum, one) => sum + one, 0) / nz);
    }
  }

  // Patient coordinates in mm (LPS) of index coordinates.
  pointLps(z: number, y: number, x: number): [number, number, number] {
    const { origin_lps, axes_lps, spacing_zyx_mm } = this.grid;
    const index = [z, y, x];
    const at = (axis: number) =>
      origin_lps[axis]! +
      index.reduce((sum, one, i) => sum + one * spacing_zyx_mm[i]! * axes_lps[i]![axis]!, 0);
    return [at(0), at(1), at(2)];
  }

  private async fetchPart(path: string, first: number): Promise<number> {
    const answer = await fetch(`/api/v1/jobs/${this.job}/ct/${path}`);
    if (!answer.ok) throw new Error(await reasonOf(answer));
    const bytes = await answer.arrayBuffer();
    const [, ny, nx] = this.grid.shape_zyx;
    const part =
      answer.headers.get("X-Voxels") === "planes" ? unfolded(new Uint8Array(bytes), nx) : new Int16Array(bytes);
    this.voxels.set(part, first * ny * nx);
    this.isThere.fill(1, first, first + part.length / (ny * nx));
    return bytes.byteLength;
  }
}

// The first slices of slabs, those in the middle first.
export function fromTheMiddle(nz: number): number[] {
  const firsts = Array.from({ length: Math.ceil(nz / SLAB) }, (_, i) => i * SLAB);
  return firsts.sort((a, b) => Math.abs(a + SLAB / 2 - nz / 2) - Math.abs(b + SLAB / 2 - nz / 2));
}

// Voxels from byte planes of folded differences along x: the opposite of `folded_planes` in the node.
export function unfolded(planes: Uint8Array, nx: number): Int16Array {
  const count = planes.length / 2;
  const voxels = new Int16Array(count);
  let before = 0;
  for (let i = 0; i < count; i++) {
    if (i % nx === 0) before = 0;
    const folded = planes[i]! | (planes[count + i]! << 8);
    before = (before + ((folded >> 1) ^ -(folded & 1))) | 0;
    voxels[i] = before;
    before = voxels[i]!;
  }
  return voxels;
}

export async function reasonOf(answer: Response): Promise<string> {
  const problem = (await answer.json().catch(() => null)) as { detail?: string } | null;
  return problem?.detail ?? text("the node answered %(status)s", { status: answer.status });
}

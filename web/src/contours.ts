// Contours as they stand in the file: outlines on their slices, and exactly where these cross the other planes.
export interface Contour {
  slice: number; // z index; a fraction where the contour lies between slices
  points: number[]; // x index, y index, x index, ...
}

export interface Structure {
  number: number;
  name: string;
  type: string;
  colour: [number, number, number];
  contours: Contour[];
}

export type Span = [slice: number, from: number, to: number];

// A structure's contours by the slice that they are drawn on.
export class Outlines {
  readonly bySlice = new Map<number, Contour[]>();
  private readonly paths = new Map<number, Path2D>();

  constructor(readonly structure: Structure) {
    for (const contour of structure.contours) {
      const slice = Math.round(contour.slice);
      const others = this.bySlice.get(slice);
      if (others === undefined) this.bySlice.set(slice, [contour]);
      else others.push(contour);
    }
  }

  get slices(): number[] {
    return [...this.bySlice.keys()].sort((a, b) => a - b);
  }

  // The outlines on a slice in index coordinates; null where there are none. Filled by the even-odd rule, holes stay open.
  path(slice: number): Path2D | null {
    const contours = this.bySlice.get(slice);
    if (contours === undefined) return null;
    const known = this.paths.get(slice);
    if (known !== undefined) return known;
    const path = new Path2D();
    for (const { points } of contours) {
      path.moveTo(points[0]! + 0.5, points[1]! + 0.5);
      for (let i = 2; i < points.length; i += 2) path.lineTo(points[i]! + 0.5, points[i + 1]! + 0.5);
      path.closePath();
    }
    this.paths.set(slice, path);
    return path;
  }

  // Where the outlines cross a row (coronal) or a column (sagittal) of index `at`: the spans inside, slice by slice.
  spans(plane: "coronal" | "sagittal", at: number): Span[] {
    const cut = plane === "coronal" ? 1 : 0;
    const spans: Span[] = [];
    for (const [slice, contours] of this.bySlice) {
      const crossings = crossingsOf(contours, cut, at);
      for (let i = 0; i + 1 < crossings.length; i += 2) spans.push([slice, crossings[i]!, crossings[i + 1]!]);
    }
    return spans;
  }
}

// The sorted positions at which outlines cross a line; an end that lies on it counts once (half-open edges).
export function crossingsOf(contours: readonly Contour[], cut: 0 | 1, at: number): number[] {
  const along = 1 - cut;
  const found: number[] = [];
  for (const { points } of contours) {
    const count = points.length / 2;
    for (let i = 0, j = count - 1; i < count; j = i++) {
      const a = points[2 * j + cut]!;
      const b = points[2 * i + cut]!;
      if (a <= at === b <= at) continue;
      const p = points[2 * j + along]!;
      const q = points[2 * i + along]!;
      found.push(p + ((at - a) / (b - a)) * (q - p));
    }
  }
  return found.sort((a, b) => a - b);
}

// A second structure set beside the job's own: what the node found out about both, and how much differs on each slice.
import { Outlines, type Structure } from "./contours";
import { decimal, text } from "./texts";

export interface Compared {
  name: string;
  a: number | null; // ROI Number in A, the job's own set
  b: number | null;
  b_name: string;
  state: string;
  reason: string;
  metrics: Record<string, number | null>;
  slices: [slice: number, onlyA: number, onlyB: number][]; // mm2
}

export interface Comparison {
  tolerance_mm: number;
  second: { approval: string; structures: Structure[] };
  structures: Compared[];
  notes: string[];
}

export interface KeptSet {
  key: string;
  origin: "result" | "returned" | "received";
  job: number | null;
  purpose: string | null;
  model: string;
  sender: string;
  at: string;
}

export interface Areas {
  onlyA: Float64Array; // mm2, by slice
  onlyB: Float64Array;
}

export const ONLY_A = "rgb(255,146,36)";
export const ONLY_B = "rgb(74,163,255)";

export class SecondSet {
  readonly byA = new Map<number, Compared>();
  readonly pairs: { compared: Compared; outlines: Outlines }[] = [];
  readonly alone: Outlines[] = []; // only in B
  private readonly byB: Map<number, Outlines>;

  constructor(readonly found: Comparison) {
    this.byB = new Map(found.second.structures.map((one) => [one.number, new Outlines(one)]));
    const paired = new Set<number>();
    for (const compared of found.structures) {
      if (compared.a === null) continue;
      this.byA.set(compared.a, compared);
      const outlines = compared.b === null ? undefined : this.byB.get(compared.b);
      if (outlines === undefined) continue;
      this.pairs.push({ compared, outlines });
      paired.add(outlines.structure.number);
    }
    for (const [number, outlines] of this.byB) if (!paired.has(number)) this.alone.push(outlines);
  }

  comparedOfB(number: number): Compared | undefined {
    return this.found.structures.find((one) => one.b === number);
  }

  // What differs on each slice, of all pairs that are shown.
  areas(slices: number, isShown: (a: number) => boolean): Areas {
    const areas = { onlyA: new Float64Array(slices), onlyB: new Float64Array(slices) };
    for (const [a, compared] of this.byA) {
      if (!isShown(a)) continue;
      for (const [slice, onlyA, onlyB] of compared.slices) {
        areas.onlyA[slice]! += onlyA;
        areas.onlyB[slice]! += onlyB;
      }
    }
    return areas;
  }
}

export function largest(areas: Areas): { slice: number; mm2: number } {
  let [slice, mm2] = [-1, 0];
  for (let i = 0; i < areas.onlyA.length; i++) {
    const here = areas.onlyA[i]! + areas.onlyB[i]!;
    if (here > mm2) [slice, mm2] = [i, here];
  }
  return { slice, mm2 };
}

// The bar below the planes: a column a slice, what only A has below, what only B has above it.
export function paintAreas(canvas: HTMLCanvasElement, areas: Areas, current: number): void {
  const box = canvas.getBoundingClientRect();
  canvas.width = Math.max(1, Math.round(box.width * devicePixelRatio));
  canvas.height = Math.max(1, Math.round(box.height * devicePixelRatio));
  const context = canvas.getContext("2d")!;
  const count = areas.onlyA.length;
  const width = canvas.width / count;
  const scale = canvas.height / Math.max(largest(areas).mm2, 1e-9);
  const gap = width > 3 * devicePixelRatio ? devicePixelRatio : 0;
  for (let i = 0; i < count; i++) {
    let top = canvas.height;
    for (const [mm2, colour] of [
      [areas.onlyA[i]!, ONLY_A],
      [areas.onlyB[i]!, ONLY_B],
    ] as const) {
      const height = mm2 > 0 ? Math.max(mm2 * scale, devicePixelRatio) : 0;
      context.fillStyle = colour;
      context.fillRect(i * width, top - height, Math.max(width - gap, 1), height);
      top -= height;
    }
  }
  context.strokeStyle = getComputedStyle(canvas).color;
  context.lineWidth = 2 * devicePixelRatio;
  context.strokeRect(current * width, context.lineWidth / 2, width, canvas.height - context.lineWidth);
}

// What stands below a structure's name: its figures, or why there are none.
export function figuresOf(compared: Compared, tolerance: number): { figures: [name: string, value: string][]; remark: string } {
  const value = (name: string, digits: number, unit = "") => {
    const found = compared.metrics[name];
    return found === undefined || found === null ? "" : `${decimal(found, digits)}${unit}`;
  };
  const volume = (name: string) => {
    const shown = value(name, 1);
    return shown === "" ? "" : text("%(volume)s cc", { volume: shown });
  };
  const figures: [string, string][] = [
    ["A", volume("volume_cm3")],
    ["B", volume("reference_volume_cm3")],
    ["DSC", value("dice", 3)],
    ["HD95", value("hausdorff95_pooled_mm", 1, " mm")],
    ["SDSC", value(`surface_dice_area_weighted_at_${tolerance}mm`, 3)],
  ];
  const remarks: Record<string, string> = {
    missing: text("A is empty: nothing to compare"),
    spurious: text("B is empty: nothing to compare"),
    "both empty": text("A and B are empty: nothing to compare"),
    "only in a": text("not in B"),
    "only in b": text("not in A"),
    "not comparable": text("not compared: %(reason)s", { reason: compared.reason }),
  };
  const remark = [remarks[compared.state] ?? "", compared.state.startsWith("only") ? compared.reason : ""];
  return { figures: figures.filter(([, shown]) => shown !== ""), remark: remark.filter((one) => one !== "").join("; ") };
}

export function wordsOf(kept: KeptSet): string {
  const at = new Date(kept.at).toLocaleString(document.documentElement.lang, { dateStyle: "short", timeStyle: "short" });
  if (kept.origin === "received") return text("received from %(host)s, %(at)s", { host: kept.sender, at });
  const job = kept.job ?? "";
  if (kept.origin === "returned") return text("came back to job %(job)s, %(at)s", { job, at });
  const model = kept.model;
  return kept.purpose === "shadow"
    ? text("shadow job %(job)s, %(model)s, %(at)s", { job, model, at })
    : text("job %(job)s, %(model)s, %(at)s", { job, model, at });
}

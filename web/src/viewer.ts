// The viewer: three linked planes of the images, with the contours of the file that was sent.
import "./page.css";
import {
  type Compared,
  type Comparison,
  type KeptSet,
  ONLY_A,
  ONLY_B,
  SecondSet,
  figuresOf,
  largest,
  paintAreas,
  wordsOf,
} from "./comparison";
import { Outlines, type Structure } from "./contours";
import { isTyping, listenForKeys } from "./keys";
import { PlanePainter, type Placement, type Window, greyTable, toScreen } from "./painter";
import { type Plane, type PlaneName, letterOf, mainAxis, planeOf } from "./planes";
import { decimal, text } from "./texts";
import { type Grid, Volume, reasonOf } from "./volume";

interface Measured {
  name: string;
  is_sent: boolean;
  volume_cc: number;
  findings: { words: string }[];
  edges: string[];
}

interface View {
  plane: Plane;
  figure: HTMLElement;
  image: HTMLCanvasElement;
  overlay: HTMLCanvasElement;
  painter: PlanePainter;
  placement: Placement;
  painted: number; // the index that the image shows
}

const root = document.getElementById("viewer")!;
const job = Number(root.dataset["job"]);
const progress = document.getElementById("progress")!;

class Viewer {
  private readonly views: View[];
  private readonly index: [number, number, number];
  private window: Window;
  private table: Uint8Array;
  private outlines: Outlines[] = [];
  private measured: Measured[] = [];
  private second: SecondSet | null = null;
  private readonly hidden = new Set<number>();
  private readonly hiddenOfB = new Set<number>(); // of structures that only B has
  private showsDifference = false;
  private showsContours = true;
  private fill = 0.15;
  private current = -1;
  private isStale = { image: true, overlay: true };

  constructor(private readonly volume: Volume) {
    const [nz, ny, nx] = volume.grid.shape_zyx;
    this.window = { level: volume.grid.window[0], width: volume.grid.window[1] };
    this.table = greyTable(this.window);
    this.index = [Math.floor(nz / 2), Math.floor(ny / 2), Math.floor(nx / 2)];
    this.views = [...root.querySelectorAll<HTMLElement>(".plane")].map((figure) => {
      const image = figure.querySelector<HTMLCanvasElement>(".image")!;
      const plane = planeOf(figure.dataset["plane"] as PlaneName, volume.grid);
      const overlay = figure.querySelector<HTMLCanvasElement>(".overlay")!;
      const painter = new PlanePainter(image);
      const view = { plane, figure, image, overlay, painter, placement: EMPTY, painted: -1 };
      this.listen(view);
      return view;
    });
    new ResizeObserver(() => this.draw()).observe(root);
    this.listenForKeys();
  }

  // Draw everything at the next frame.
  draw(parts: { image?: boolean; overlay?: boolean } = { image: true, overlay: true }): void {
    const isAsked = this.isStale.image || this.isStale.overlay;
    this.isStale.image ||= parts.image ?? false;
    this.isStale.overlay ||= parts.overlay ?? false;
    if (!isAsked) requestAnimationFrame(() => this.paint());
  }

  begin(): void {
    this.isStale = { image: false, overlay: false };
    this.draw();
  }

  showContours(structures: Structure[], measured: Measured[]): void {
    this.outlines = structures.map((structure) => new Outlines(structure));
    this.measured = measured;
    this.second = null;
    this.list();
    this.draw({ overlay: true });
  }

  // Show another set beside the job's own; null: none.
  showSecond(found: Comparison | null): void {
    this.second = found === null ? null : new SecondSet(found);
    this.hiddenOfB.clear();
    document.getElementById("compared")!.hidden = found === null;
    document.getElementById("differences")!.hidden = found === null;
    const notes = (found?.notes ?? []).map((words) => {
      const note = document.createElement("li");
      note.textContent = words;
      return note;
    });
    const place = document.getElementById("compared-notes") as HTMLDetailsElement;
    place.hidden = notes.length === 0;
    place.querySelector("ul")!.replaceChildren(...notes);
    this.showDifference(found !== null);
    this.list();
  }

  showDifference(shows = !this.showsDifference): void {
    this.showsDifference = shows && this.second !== null;
    document.getElementById("difference")!.ariaPressed = String(this.showsDifference);
    this.draw({ overlay: true });
  }

  // Go to the slice on which most differs, of what is shown.
  showLargest(): void {
    if (this.second === null) return;
    const { slice } = largest(this.areas());
    if (slice >= 0) this.move(0, slice);
  }

  showSliceAt(share: number): void {
    this.move(0, Math.floor(share * this.size(0)));
  }

  private areas() {
    return this.second!.areas(this.size(0), (number) => !this.hidden.has(number));
  }

  private paint(): void {
    const { image, overlay } = this.isStale;
    this.isStale = { image: false, overlay: false };
    if (this.second !== null) this.paintBar();
    for (const view of this.views) {
      const isResized = fit(view);
      const index = this.index[view.plane.across];
      const isOther = image || isResized || index !== view.painted;
      if (isOther) {
        view.placement = view.painter.paint(this.volume, view.plane, index, this.table);
        view.painted = index;
      }
      if (isOther || overlay) this.paintOverlay(view);
    }
    root.dataset["frames"] = String(Number(root.dataset["frames"] ?? 0) + 1);
  }

  private paintOverlay(view: View): void {
    const context = view.overlay.getContext("2d")!;
    context.clearRect(0, 0, view.overlay.width, view.overlay.height);
    const [columns, rows] = [this.size(view.plane.horizontal), this.size(view.plane.vertical)];
    if (this.showsContours) {
      context.save();
      toScreen(context, view.plane, view.placement, columns, rows);
      for (const outlines of this.outlines) {
        if (!this.hidden.has(outlines.structure.number)) this.paintStructure(context, view, outlines);
      }
      if (this.second !== null) this.paintSecond(context, view, this.second);
      context.restore();
    }
    this.paintCross(context, view);
    this.caption(view);
  }

  private paintStructure(context: CanvasRenderingContext2D, view: View, outlines: Outlines): void {
    const [r, g, b] = outlines.structure.colour;
    const index = this.index[view.plane.across];
    const isCurrent = this.outlines[this.current] === outlines;
    context.fillStyle = `rgba(${r},${g},${b},${this.fill})`;
    context.strokeStyle = `rgb(${r},${g},${b})`;
    context.lineWidth = ((isCurrent ? 3 : 1.6) * devicePixelRatio) / view.placement.scaleX;
    if (view.plane.name === "axial") {
      const path = outlines.path(index);
      if (path === null) return;
      if (this.fill > 0 && !this.showsDifference) context.fill(path, "evenodd");
      context.stroke(path);
      return;
    }
    context.beginPath();
    for (const [slice, from, to] of outlines.spans(view.plane.name, index)) {
      if (this.fill > 0) context.fillRect(from + 0.5, slice, to - from, 1);
      for (const x of [from + 0.5, to + 0.5]) {
        context.moveTo(x, slice);
        context.lineTo(x, slice + 1);
      }
    }
    context.stroke();
  }

  // The outlines of B, dashed, in the colours of their partners in A; and what only one of the two has.
  private paintSecond(context: CanvasRenderingContext2D, view: View, second: SecondSet): void {
    for (const { compared, outlines } of second.pairs) {
      if (this.hidden.has(compared.a!)) continue;
      const own = this.outlines.find((one) => one.structure.number === compared.a);
      if (this.showsDifference && view.plane.name === "axial" && own !== undefined) {
        this.fillDifference(context, own, outlines, ONLY_A);
        this.fillDifference(context, outlines, own, ONLY_B);
      }
      this.paintDashed(context, view, outlines, own?.structure.colour ?? outlines.structure.colour);
    }
    for (const outlines of second.alone) {
      if (this.hiddenOfB.has(outlines.structure.number)) continue;
      this.paintDashed(context, view, outlines, outlines.structure.colour);
    }
  }

  private fillDifference(context: CanvasRenderingContext2D, has: Outlines, lacks: Outlines, colour: string): void {
    const path = has.path(this.index[0]);
    if (path === null) return;
    context.save();
    const other = lacks.path(this.index[0]);
    if (other !== null) {
      const outside = new Path2D(other); // with a frame round it, the even-odd rule turns it inside out
      outside.rect(-1, -1, this.size(2) + 2, this.size(1) + 2);
      context.clip(outside, "evenodd");
    }
    context.globalAlpha = 0.55;
    context.fillStyle = colour;
    context.fill(path, "evenodd");
    context.restore();
  }

  private paintDashed(
    context: CanvasRenderingContext2D,
    view: View,
    outlines: Outlines,
    [r, g, b]: readonly [number, number, number],
  ): void {
    const pixel = devicePixelRatio / view.placement.scaleX;
    const index = this.index[view.plane.across];
    context.save();
    context.strokeStyle = `rgb(${r},${g},${b})`;
    context.lineWidth = 1.6 * pixel;
    if (view.plane.name === "axial") {
      const path = outlines.path(index);
      context.setLineDash([5 * pixel, 4 * pixel]);
      if (path !== null) context.stroke(path);
    } else {
      context.beginPath();
      for (const [slice, from, to] of outlines.spans(view.plane.name, index)) {
        for (const x of [from + 0.5, to + 0.5]) {
          context.moveTo(x, slice + 0.2); // half as high as a slice: dashed from slice to slice
          context.lineTo(x, slice + 0.8);
        }
      }
      context.stroke();
    }
    context.restore();
  }

  private paintBar(): void {
    const areas = this.areas();
    const { slice, mm2 } = largest(areas);
    const canvas = document.getElementById("areas") as HTMLCanvasElement;
    paintAreas(canvas, areas, this.index[0]);
    const here = areas.onlyA[this.index[0]]! + areas.onlyB[this.index[0]]!;
    const most = document.getElementById("most") as HTMLButtonElement;
    most.disabled = slice < 0;
    most.textContent =
      slice < 0
        ? text("nothing differs")
        : text("most on slice %(slice)s: %(area)s mm² ( m )", { slice: slice + 1, area: decimal(mm2, 0) });
    document.getElementById("here")!.textContent = text("slice %(slice)s: %(area)s mm²", {
      slice: this.index[0] + 1,
      area: decimal(here, 0),
    });
  }

  // The letters at the ends of the bar: where the slices begin and end in the patient.
  lettersOfSlices(): [string, string] {
    const towards = letterOf(this.volume.grid.axes_lps[0]);
    const letters: Record<string, string> = { H: "F", F: "H", L: "R", R: "L", P: "A", A: "P" };
    return [letters[towards]!, towards];
  }

  private paintCross(context: CanvasRenderingContext2D, view: View): void {
    const { plane, placement } = view;
    const x = this.onScreen(plane.flipsHorizontal, plane.horizontal, placement.left, placement.scaleX);
    const y = this.onScreen(plane.flipsVertical, plane.vertical, placement.top, placement.scaleY);
    context.strokeStyle = "rgba(120,220,210,0.45)";
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(x, placement.top);
    context.lineTo(x, placement.top + placement.height);
    context.moveTo(placement.left, y);
    context.lineTo(placement.left + placement.width, y);
    context.stroke();
    context.fillStyle = "#cfe";
    context.font = `${14 * devicePixelRatio}px sans-serif`;
    const { left, right, top, bottom } = plane.letters;
    const [w, h, m] = [view.overlay.width, view.overlay.height, 6 * devicePixelRatio];
    context.textBaseline = "middle";
    context.textAlign = "left";
    context.fillText(left, m, h / 2);
    context.textAlign = "right";
    context.fillText(right, w - m, h / 2);
    context.textAlign = "center";
    context.textBaseline = "top";
    context.fillText(top, w / 2, m);
    context.textBaseline = "bottom";
    context.fillText(bottom, w / 2, h - m);
  }

  private onScreen(isFlipped: boolean, axis: 0 | 1 | 2, start: number, scale: number): number {
    const index = this.index[axis] + 0.5;
    return start + scale * (isFlipped ? this.size(axis) - index : index);
  }

  private caption(view: View): void {
    const [z, y, x] = this.index;
    const point = this.volume.pointLps(z, y, x);
    const axis = view.plane.across;
    const along = mainAxis(this.volume.grid.axes_lps[axis]);
    const [, ny, nx] = this.volume.grid.shape_zyx;
    const value = this.volume.voxels[(z * ny + y) * nx + x];
    const { unit, factor } = this.volume.grid;
    const hu = view.plane.name === "axial" ? ` · ${(value ?? 0) / factor} ${unit}` : "";
    const letter = "xyz"[along];
    view.figure.querySelector("figcaption")!.textContent =
      `${view.plane.title} ${letter} ${decimal(point[along]!, 1)} mm · ${this.index[axis] + 1}/${this.size(axis)}${hu}`;
  }

  private size(axis: 0 | 1 | 2): number {
    return this.volume.grid.shape_zyx[axis];
  }

  move(axis: 0 | 1 | 2, to: number): void {
    this.index[axis] = Math.min(Math.max(Math.round(to), 0), this.size(axis) - 1);
    this.draw({ overlay: true }); // and the image of the plane that shows another slice
  }

  private listen(view: View): void {
    const { figure, plane } = view;
    figure.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        this.move(plane.across, this.index[plane.across] + Math.sign(event.deltaY) * this.forward(plane));
      },
      { passive: false },
    );
    figure.addEventListener("pointerdown", (event) => {
      figure.setPointerCapture(event.pointerId);
      if (event.button === 0 && !event.shiftKey) this.pointAt(view, event);
    });
    figure.addEventListener("pointermove", (event) => {
      if (event.buttons === 1 && !event.shiftKey) this.pointAt(view, event);
      if (event.buttons === 2 || (event.buttons === 1 && event.shiftKey)) {
        const width = Math.max(1, this.window.width + event.movementX * 4);
        this.setWindow({ level: this.window.level + event.movementY * 2, width });
      }
    });
    figure.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  // The step along a plane's axis that goes towards the feet, the back or the left.
  private forward(plane: Plane): number {
    return plane.name === "axial" ? -1 : 1;
  }

  private pointAt(view: View, event: PointerEvent): void {
    const box = view.figure.getBoundingClientRect();
    const { plane, placement } = view;
    const across = ((event.clientX - box.left) * devicePixelRatio - placement.left) / placement.scaleX;
    const down = ((event.clientY - box.top) * devicePixelRatio - placement.top) / placement.scaleY;
    const [columns, rows] = [this.size(plane.horizontal), this.size(plane.vertical)];
    this.move(plane.horizontal, Math.floor(plane.flipsHorizontal ? columns - across : across));
    this.move(plane.vertical, Math.floor(plane.flipsVertical ? rows - down : down));
  }

  setWindow(window: Window): void {
    this.window = window;
    this.table = greyTable(window);
    this.draw();
  }

  private listenForKeys(): void {
    document.addEventListener("keydown", (event) => {
      if (isTyping(event)) return;
      const focused = this.views.find((view) => view.figure.contains(document.activeElement)) ?? this.views[0]!;
      const axis = focused.plane.across;
      const steps: Record<string, number> = { ArrowUp: -1, ArrowDown: 1, PageUp: -10, PageDown: 10 };
      const step = steps[event.key];
      if (step !== undefined) {
        event.preventDefault();
        this.move(axis, this.index[axis] + step * this.forward(focused.plane));
      } else if (event.key === "Home" || event.key === "End") {
        event.preventDefault();
        const toFirst = (event.key === "Home") === this.forward(focused.plane) > 0;
        this.move(axis, toFirst ? 0 : this.size(axis) - 1);
      } else if (event.key === "t" || event.key === " ") {
        event.preventDefault();
        if (event.key === "t" || this.showsContours) this.toggle(event.key === "t" ? !this.showsContours : false);
      } else if (event.key === "n" || event.key === "p") {
        this.select((this.current + (event.key === "n" ? 1 : -1) + this.outlines.length) % this.outlines.length);
      } else if (event.key === "x") {
        this.selectNextFlagged();
      } else if (event.key === "f") {
        event.preventDefault();
        document.getElementById("filter")?.focus();
      }
    });
    document.addEventListener("keyup", (event) => {
      if (event.key === " " && !isTyping(event)) this.toggle(true);
    });
  }

  private toggle(shows: boolean): void {
    this.showsContours = shows;
    this.draw({ overlay: true });
  }

  select(number: number): void {
    const outlines = this.outlines[number];
    if (outlines === undefined) return;
    this.current = number;
    this.showMiddle(outlines.structure, outlines);
    for (const [i, item] of [...document.querySelectorAll("#structures li")].entries()) {
      item.classList.toggle("current", i === number);
    }
  }

  private showMiddle(structure: Structure, outlines = new Outlines(structure)): void {
    const slices = outlines.slices;
    const middle = slices[Math.floor(slices.length / 2)];
    if (middle === undefined) return;
    const points = outlines.bySlice.get(middle)![0]!.points;
    let [x, y] = [0, 0];
    for (let i = 0; i < points.length; i += 2) {
      x += points[i]!;
      y += points[i + 1]!;
    }
    this.move(0, middle);
    this.move(1, (2 * y) / points.length);
    this.move(2, (2 * x) / points.length);
  }

  private selectNextFlagged(): void {
    const items = [...document.querySelectorAll("#structures li")];
    for (let step = 1; step <= items.length; step++) {
      const next = (this.current + step) % items.length;
      if (items[next]?.classList.contains("flagged")) {
        this.select(next);
        return;
      }
    }
  }

  private list(): void {
    const place = document.getElementById("structures")!;
    const said = new Map(this.measured.map((one) => [one.name, one]));
    place.replaceChildren(
      ...this.outlines.map(({ structure }, number) => {
        const item = this.item(structure, this.hidden, said.get(structure.name), () => this.select(number));
        this.addFigures(item, this.second?.byA.get(structure.number));
        item.classList.toggle("current", number === this.current);
        return item;
      }),
      ...(this.second?.alone ?? []).map(({ structure }) => {
        const item = this.item(structure, this.hiddenOfB, undefined, () => this.showMiddle(structure));
        this.addFigures(item, this.second!.comparedOfB(structure.number));
        return item;
      }),
    );
    this.filterList();
  }

  private addFigures(item: HTMLLIElement, compared: Compared | undefined): void {
    if (compared === undefined) return;
    const { figures, remark } = figuresOf(compared, this.second!.found.tolerance_mm);
    const line = document.createElement("span");
    line.className = "figures";
    for (const [name, value] of figures) {
      const label = document.createElement("small");
      label.textContent = name;
      const one = document.createElement("span");
      one.append(label, ` ${value}`);
      line.append(one);
    }
    if (remark !== "") line.append(remark);
    if (compared.b_name !== "" && compared.a !== null && compared.b_name !== item.dataset["name"]) {
      line.append(text("in B: %(name)s", { name: compared.b_name }));
    }
    item.append(line);
  }

  private filterList(): void {
    const wanted = (document.getElementById("filter") as HTMLInputElement).value.toLowerCase();
    for (const item of document.querySelectorAll<HTMLElement>("#structures li")) {
      item.hidden = !(item.dataset["name"] ?? "").toLowerCase().includes(wanted);
    }
  }

  // Once, when the page begins.
  listenToPanel(): void {
    document.getElementById("filter")!.addEventListener("input", () => this.filterList());
    document.getElementById("areas")!.addEventListener("click", (event) => {
      this.showSliceAt(event.offsetX / (event.currentTarget as HTMLElement).clientWidth);
    });
    document.getElementById("difference")!.addEventListener("click", () => this.showDifference());
    document.getElementById("most")!.addEventListener("click", () => this.showLargest());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw({ overlay: true }));
    const [first, last] = this.lettersOfSlices();
    document.getElementById("first-letter")!.textContent = first;
    document.getElementById("last-letter")!.textContent = last;
    document.getElementById("fill")!.addEventListener("input", (event) => {
      this.fill = Number((event.target as HTMLInputElement).value) / 100;
      this.draw({ overlay: true });
    });
  }

  private item(
    structure: Structure,
    hidden: Set<number>,
    measured: Measured | undefined,
    select: () => void,
  ): HTMLLIElement {
    const item = document.createElement("li");
    item.dataset["name"] = structure.name;
    const box = document.createElement("input");
    box.type = "checkbox";
    box.checked = !hidden.has(structure.number);
    box.ariaLabel = text("Show %(name)s", { name: structure.name });
    box.addEventListener("click", (event) => {
      if (event.altKey) this.showOnly(hidden, structure.number);
    });
    box.addEventListener("change", () => {
      if (box.checked) hidden.delete(structure.number);
      else hidden.add(structure.number);
      this.draw({ overlay: true });
    });
    const swatch = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    swatch.setAttribute("viewBox", "0 0 10 10");
    swatch.classList.add("swatch");
    const square = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    square.setAttribute("width", "10");
    square.setAttribute("height", "10");
    square.setAttribute("fill", `rgb(${structure.colour.join(",")})`);
    swatch.append(square);
    const name = document.createElement("button");
    name.type = "button";
    name.textContent = structure.name;
    name.addEventListener("click", select);
    const volume = document.createElement("span");
    volume.className = "cc";
    volume.textContent = measured === undefined ? "" : text("%(volume)s cc", { volume: decimal(measured.volume_cc, 1) });
    item.append(box, swatch, name, volume);
    const remarks = [
      ...(structure.contours.length === 0 ? [text("empty in the file")] : []),
      ...(measured?.findings ?? []).map((one) => one.words),
      ...(measured?.edges.length && !measured.findings.length ? [text("touches the edge: %(edges)s", { edges: measured.edges.join(", ") })] : []),
    ];
    if (remarks.length > 0) {
      item.classList.add("flagged");
      const words = document.createElement("span");
      words.className = "flag";
      words.textContent = `! ${remarks.join("; ")}`;
      item.append(words);
    }
    return item;
  }

  private showOnly(of: Set<number>, number: number): void {
    for (const { structure } of this.outlines) this.hidden.add(structure.number);
    for (const { structure } of this.second?.alone ?? []) this.hiddenOfB.add(structure.number);
    of.delete(number);
    this.list();
    this.draw({ overlay: true });
  }
}

const EMPTY: Placement = { scaleX: 1, scaleY: 1, left: 0, top: 0, width: 0, height: 0 };

// Give the canvases of a view as many pixels as it has on the screen; say whether that changed.
function fit(view: View): boolean {
  const box = view.figure.getBoundingClientRect();
  const width = Math.max(1, Math.round(box.width * devicePixelRatio));
  const height = Math.max(1, Math.round(box.height * devicePixelRatio));
  if (view.image.width === width && view.image.height === height) return false;
  for (const canvas of [view.image, view.overlay]) {
    canvas.width = width;
    canvas.height = height;
  }
  return true;
}

async function json<Value>(path: string, how: RequestInit = {}): Promise<Value> {
  const answer = await fetch(`/api/v1/jobs/${job}/${path}`, how);
  if (!answer.ok) throw new Error(await reasonOf(answer));
  return (await answer.json()) as Value;
}

async function contoursInto(viewer: Viewer, destination: string): Promise<void> {
  const [set, measured] = await Promise.all([
    json<{ structures: Structure[] }>(`contours?destination=${encodeURIComponent(destination)}`),
    json<Measured[]>("structures"),
  ]);
  viewer.showContours(set.structures, measured);
  root.dataset["contours"] = String(set.structures.length);
}

// What A is compared with: nothing, a set that the node keeps, or a file.
type Second = null | { key: string } | { file: File };

class SecondChoice {
  private readonly choice = document.getElementById("second") as HTMLSelectElement;
  private readonly file = document.getElementById("second-file") as HTMLInputElement;
  private readonly said = document.getElementById("second-said")!;
  private readonly tolerance = document.getElementById("tolerance") as HTMLSelectElement;
  private chosen: Second = null;
  private asked = 0;

  constructor(
    private readonly viewer: Viewer,
    private readonly destination: () => string,
  ) {
    this.choice.addEventListener("change", () => {
      this.choice.blur(); // so that keys reach the planes again
      void this.compareWith(this.choice.value === "" ? null : { key: this.choice.value });
    });
    this.tolerance.addEventListener("change", () => {
      this.tolerance.blur();
      void this.again();
    });
    document.getElementById("second-open")!.addEventListener("click", () => this.file.click());
    this.file.addEventListener("change", () => {
      const file = this.file.files?.[0];
      this.file.value = "";
      if (file !== undefined) void this.compareWith({ file });
    });
    root.addEventListener("dragover", (event) => {
      event.preventDefault();
      root.classList.add("dropping");
    });
    root.addEventListener("dragleave", (event) => {
      if (!root.contains(event.relatedTarget as Node | null)) root.classList.remove("dropping");
    });
    root.addEventListener("drop", (event) => {
      event.preventDefault();
      root.classList.remove("dropping");
      const file = event.dataTransfer?.files[0];
      if (file !== undefined) void this.compareWith({ file });
    });
  }

  async offer(): Promise<void> {
    const kept = await json<KeptSet[]>("comparison/sets");
    for (const one of kept) this.choice.add(new Option(wordsOf(one), one.key));
  }

  again(): Promise<void> {
    return this.compareWith(this.chosen);
  }

  private async compareWith(chosen: Second): Promise<void> {
    const number = ++this.asked;
    this.chosen = chosen;
    this.viewer.showSecond(null);
    this.mark(chosen);
    this.say(chosen === null ? "" : text("Comparing…"));
    if (chosen === null) return;
    try {
      const found = await this.fetched(chosen);
      if (number !== this.asked) return;
      this.viewer.showSecond(found);
      this.say("");
      root.dataset["compared"] = String(found.structures.length);
    } catch (error) {
      if (number !== this.asked) return;
      this.chosen = null;
      this.mark(null);
      this.say(text("Not compared: %(reason)s", { reason: String(error).replace("Error: ", "") }), "message bad");
    }
  }

  private async fetched(chosen: { key: string } | { file: File }): Promise<Comparison> {
    const asked = `destination=${encodeURIComponent(this.destination())}&tolerance_mm=${this.tolerance.value}`;
    if ("key" in chosen) return json<Comparison>(`comparison?second=${chosen.key}&${asked}`);
    const body = new FormData();
    body.append("file", chosen.file);
    return json<Comparison>(`comparison/file?${asked}`, { method: "POST", body });
  }

  // Name the file among the choices as long as it is the one.
  private mark(chosen: Second): void {
    this.choice.querySelector("[data-file]")?.remove();
    if (chosen !== null && "file" in chosen) {
      const option = new Option(chosen.file.name, "file");
      option.dataset["file"] = "";
      this.choice.add(option);
    }
    this.choice.value = chosen === null ? "" : "key" in chosen ? chosen.key : "file";
  }

  private say(words: string, className = "quiet"): void {
    this.said.textContent = words;
    this.said.className = className;
  }
}

async function main(): Promise<void> {
  const grid = await json<Grid>("ct");
  const volume = new Volume(job, grid);
  const viewer = new Viewer(volume);
  viewer.begin();
  for (const button of root.querySelectorAll<HTMLButtonElement>(".windows button")) {
    button.addEventListener("click", () => {
      viewer.setWindow({ level: Number(button.dataset["level"]), width: Number(button.dataset["width"]) });
    });
  }
  const choice = document.getElementById("destination") as HTMLSelectElement | null;
  const contours = () =>
    contoursInto(viewer, choice?.value ?? "").catch((error: unknown) => say(text("No contours: %(reason)s", { reason: String(error) })));
  viewer.listenToPanel();
  const second = new SecondChoice(viewer, () => choice?.value ?? "");
  choice?.addEventListener("change", () => void contours().then(() => second.again()));
  second.offer().catch((error: unknown) => say(String(error)));
  let asked = false;
  await volume.load((fraction) => {
    viewer.draw();
    root.dataset["loaded"] = fraction.toFixed(3);
    progress.textContent = fraction < 1 ? text("Images: %(share)s %%", { share: Math.round(100 * fraction) }) : "";
    if (!asked) void contours();
    asked = true;
  });
}

function say(words: string): void {
  progress.textContent = words.replace("Error: ", "");
  progress.className = "message bad";
}

listenForKeys();
main().catch((error: unknown) => say(String(error)));

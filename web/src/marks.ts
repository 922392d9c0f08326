// Marks of the work list: how many jobs are marked, and the orders about them; marks outlast the list's updates.
import { plural, text } from "./texts";

const MARK = "input.mark";
const marked = new Set<string>();

export function watchMarks(): void {
  const form = document.getElementById("many");
  if (form === null) return;
  document.addEventListener("change", (event) => {
    const box = event.target;
    if (!(box instanceof HTMLInputElement)) return;
    if (box.id === "mark-all") mark(boxes(), box.checked);
    else if (box.matches(MARK)) mark([box], box.checked);
  });
  document.addEventListener("htmx:after:swap", restore);
  document.getElementById("unmark")?.addEventListener("click", () => mark(boxes(), false));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "x" || !(document.activeElement instanceof HTMLAnchorElement)) return;
    document.activeElement.closest("tr")?.querySelector<HTMLInputElement>(MARK)?.click();
  });
  undoFades();
  restore();
}

function boxes(): HTMLInputElement[] {
  return [...document.querySelectorAll<HTMLInputElement>(MARK)];
}

function mark(some: HTMLInputElement[], isMarked: boolean): void {
  for (const box of some) {
    box.checked = isMarked;
    if (isMarked) marked.add(box.value);
    else marked.delete(box.value);
  }
  show();
}

// After an update of the list: marks of rows that are still there.
function restore(): void {
  const shown = boxes();
  for (const box of shown) box.checked = marked.has(box.value);
  const values = new Set(shown.map((box) => box.value));
  for (const value of marked) if (!values.has(value)) marked.delete(value);
  show();
}

function show(): void {
  const form = document.getElementById("many");
  if (form === null) return;
  const words = plural("%(count)s job", "%(count)s jobs", marked.size);
  form.hidden = marked.size === 0;
  for (const place of form.querySelectorAll(".count")) place.textContent = words;
  const said = document.getElementById("marked");
  if (said !== null) said.textContent = text("%(count)s selected", { count: words });
  const all = document.getElementById("mark-all");
  if (all instanceof HTMLInputElement) {
    all.checked = marked.size > 0 && marked.size === boxes().length;
    all.indeterminate = marked.size > 0 && !all.checked;
  }
}

// An order can be undone for a while; then the offer goes.
function undoFades(): void {
  const undo = document.querySelector<HTMLElement>(".undo");
  if (undo === null) return;
  const lasts = Number(undo.dataset["lasts"]) * 1000;
  window.setTimeout(() => undo.remove(), lasts);
}

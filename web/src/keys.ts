// Keys of the lists: / search, j and k rows, Enter opens; a control with data-key is pressed by that key.
export function isTyping(event: KeyboardEvent): boolean {
  const target = event.composedPath()[0]; // also inside the editor's shadow tree
  return (
    event.ctrlKey ||
    event.metaKey ||
    event.altKey ||
    (target instanceof HTMLInputElement && target.type !== "checkbox" && target.type !== "range") ||
    target instanceof HTMLSelectElement ||
    target instanceof HTMLTextAreaElement ||
    (target instanceof HTMLElement && target.isContentEditable)
  );
}

export function listenForKeys(): void {
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && document.activeElement instanceof HTMLElement) document.activeElement.blur();
    if (isTyping(event)) return;
    if (event.key === "/") {
      event.preventDefault();
      document.getElementById("search")?.focus();
    } else if (event.key === "j" || event.key === "k") {
      moveRow(event.key === "j" ? 1 : -1);
    } else {
      const control = document.querySelector<HTMLElement>(`[data-key="${CSS.escape(event.key)}"]`);
      control?.click();
    }
  });
}

function moveRow(step: number): void {
  const links = [...document.querySelectorAll<HTMLElement>("table.jobs tbody a")];
  if (links.length === 0) return;
  const now = links.findIndex((link) => link === document.activeElement);
  const next = now < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(Math.max(now + step, 0), links.length - 1);
  links[next]?.focus();
}

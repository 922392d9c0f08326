// A fault of a draft of rules: its link marks the line, and puts the cursor at the column.
export function leadToFaults(): void {
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest<HTMLElement>("a.fault") : null;
    const text = document.getElementById("text");
    if (link === null || !(text instanceof HTMLTextAreaElement)) return;
    event.preventDefault();
    const lines = text.value.split("\n");
    const line = Math.min(Number(link.dataset["line"]) - 1, lines.length - 1);
    const start = lines.slice(0, line).reduce((sum, one) => sum + one.length + 1, 0);
    const length = lines[line]?.length ?? 0;
    const column = Math.min(Number(link.dataset["column"]) - 1, length);
    text.focus();
    text.setSelectionRange(start + column, start + length);
    text.scrollTop = Math.max(0, (line - 3) * (text.scrollHeight / lines.length));
  });
}

// The editor of the rules: TOML in colours over the text area, which keeps what is sent; faults stand at their places.
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { HighlightStyle, StreamLanguage, syntaxHighlighting } from "@codemirror/language";
import { toml } from "@codemirror/legacy-modes/mode/toml";
import { type Diagnostic, lintGutter, nextDiagnostic, setDiagnostics } from "@codemirror/lint";
import { EditorState, type Text } from "@codemirror/state";
import { EditorView, highlightActiveLine, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";

const MONOSPACE = 'ui-monospace, "DejaVu Sans Mono", monospace';
const THEME = EditorView.theme({
  "&": { background: "var(--card)", color: "var(--ink)", border: "1px solid var(--line)", borderRadius: "6px", fontSize: ".92em" },
  "&.cm-focused": { outline: "3px solid var(--main)", outlineOffset: "1px" },
  ".cm-scroller": { fontFamily: MONOSPACE, lineHeight: "1.5", minHeight: "27em", maxHeight: "70vh", overflow: "auto" },
  ".cm-content": { caretColor: "var(--ink)" },
  ".cm-gutters": { background: "var(--paper)", color: "var(--dim)", border: "0" },
  ".cm-activeLine": { background: "color-mix(in srgb, var(--main) 8%, transparent)" },
  ".cm-tooltip": { background: "var(--card)", color: "var(--ink)", border: "1px solid var(--line)", maxWidth: "40em" },
});
const COLOURS = HighlightStyle.define([
  { tag: tags.comment, color: "var(--dim)" },
  { tag: tags.propertyName, color: "var(--main)" },
  { tag: tags.string, color: "var(--good)" },
  { tag: [tags.atom, tags.number], color: "var(--moving)" },
]);

const area = document.getElementById("text");
if (area instanceof HTMLTextAreaElement) open(area);

function open(area: HTMLTextAreaElement): void {
  const label = document.querySelector<HTMLElement>('label[for="text"]');
  const host = document.createElement("div");
  // In a shadow tree CodeMirror adopts its style sheet; a style element of the document would break the content policy.
  const root = host.attachShadow({ mode: "open" });
  const attributes: Record<string, string> = { "aria-label": label?.textContent ?? "" };
  if (area.getAttribute("aria-invalid") !== null) attributes["aria-invalid"] = "true";
  const view = new EditorView({
    root,
    parent: root,
    state: EditorState.create({
      doc: area.value,
      extensions: [
        lineNumbers(),
        lintGutter(),
        history(),
        highlightActiveLine(),
        StreamLanguage.define(toml),
        syntaxHighlighting(COLOURS),
        THEME,
        keymap.of([...historyKeymap, ...defaultKeymap, { key: "F8", run: nextDiagnostic }]), // Tab leaves the editor
        EditorView.contentAttributes.of(attributes),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) area.value = update.state.doc.toString();
        }),
      ],
    }),
  });
  area.after(host);
  area.hidden = true;
  label?.addEventListener("click", () => view.focus());
  // A browser that comes back to the page puts what was typed into the text area.
  window.addEventListener("pageshow", () => {
    const length = view.state.doc.length;
    if (area.value !== view.state.doc.toString()) view.dispatch({ changes: { from: 0, to: length, insert: area.value } });
  });
  showFaults(view);
}

function showFaults(view: EditorView): void {
  const found: Diagnostic[] = [];
  for (const link of document.querySelectorAll<HTMLElement>("a.fault")) {
    const [from, to] = place(view.state.doc, Number(link.dataset["line"]), Number(link.dataset["column"]));
    found.push({ from, to, severity: "error", message: link.nextElementSibling?.textContent ?? "" });
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const at = place(view.state.doc, Number(link.dataset["line"]), Number(link.dataset["column"]));
      view.dispatch({ selection: { anchor: at[0], head: at[1] }, scrollIntoView: true });
      view.focus();
    });
  }
  view.dispatch(setDiagnostics(view.state, found));
}

// From a fault's place to the end of its line; columns count characters, from 1, and the editor UTF-16 units.
function place(doc: Text, line: number, column: number): [number, number] {
  const found = doc.line(Math.min(Math.max(line, 1), doc.lines));
  const before = [...found.text].slice(0, column - 1).join("").length;
  return before < found.length ? [found.from + before, found.to] : [found.from, found.to];
}

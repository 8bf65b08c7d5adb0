// textarea[data-editor="template"|"json"]: an editor in its place. The textarea keeps the value, and a form sends it.
//   data-paths-url    completion inside of mustaches: [{"path", "kind", "example"}]
//   data-helpers      names of helpers, a JSON list
//   the event `problems` on the textarea, detail [{line, column, message}], marks faults; `missing`, detail
//   [{line, column, path}], marks what the event lacks. An element [data-marks-for="the textarea's id"] that comes with
//   an answer, with the same lists as JSON in data-problems and data-missing, does both.
// Each change fires `input` on the textarea; a value that is set from outside is taken over when `input` is fired.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { StreamLanguage, bracketMatching, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { lintGutter, setDiagnostics } from "@codemirror/lint";
import { EditorState, StateEffect, StateField } from "@codemirror/state";
import { Decoration, EditorView, drawSelection, keymap, lineNumbers } from "@codemirror/view";
import { Tag, tagHighlighter } from "@lezer/highlight";

import { templateCompletions } from "./completion.js";
import { rangeOfPath, rangeOfProblem } from "./marks.js";
import "./editor-page.js";
import { copyState, nextToken, startState } from "./template_tokens.js";
import { whenRemoved, wherever } from "./wherever.js";

const TOKENS = [
  "atom", "brace", "bracket", "comment", "helper", "invalid", "key", "keyword", "number", "option", "path", "string",
  "variable",
];
const tags = Object.fromEntries(TOKENS.map((name) => [name, Tag.define()]));
const language = StreamLanguage.define({
  startState,
  copyState,
  token: nextToken,
  tokenTable: tags,
  languageData: { closeBrackets: { brackets: ["(", "[", "{", '"'] } },
});
const colours = tagHighlighter(TOKENS.map((name) => ({ tag: tags[name], class: `code-${name}` })));

const setMissing = StateEffect.define();
const missing = StateField.define({
  create: () => Decoration.none,
  update(marks, transaction) {
    for (const effect of transaction.effects) {
      if (effect.is(setMissing)) return Decoration.set(missingMarks(transaction.state.doc, effect.value), true);
    }
    return marks.map(transaction.changes);
  },
  provide: (field) => EditorView.decorations.from(field),
});

wherever("textarea[data-editor]", (textarea) => {
  const label = textarea.labels[0];
  const hint = makeHint(textarea);
  const view = new EditorView({
    doc: textarea.value,
    extensions: [
      EditorView.cspNonce.of(document.querySelector("meta[name=csp-nonce]")?.content ?? ""),
      EditorState.readOnly.of(textarea.readOnly),
      EditorView.editorAttributes.of({ class: "code-editor" }), // a class that is set on the element is lost with the focus
      EditorView.contentAttributes.of(describe(textarea, label, hint)),
      EditorView.updateListener.of((update) => update.docChanged && carryOver(view, textarea)),
      lineNumbers(),
      lintGutter(),
      history(),
      drawSelection(),
      EditorView.lineWrapping,
      indentUnit.of("  "),
      EditorState.tabSize.of(2),
      bracketMatching(),
      closeBrackets(),
      autocompletion({ icons: false, override: [templateCompletions(pathsOf(textarea), helpersOf(textarea))] }),
      language,
      syntaxHighlighting(colours),
      missing,
      keymap.of([...closeBracketsKeymap, ...completionKeymap, ...historyKeymap, ...defaultKeymap, indentWithTab]),
    ],
  });
  view.dom.style.setProperty("--code-editor-rows", textarea.rows);
  textarea.after(view.dom, hint);
  textarea.hidden = true;

  label?.addEventListener("click", () => view.focus());
  textarea.addEventListener("input", () => takeOver(view, textarea));
  textarea.addEventListener("problems", ({ detail }) => showProblems(view, detail));
  textarea.addEventListener("missing", ({ detail }) => view.dispatch({ effects: setMissing.of(detail) }));
  // The browser cannot point at a field that is hidden, and would refuse to send without a word.
  textarea.addEventListener("invalid", (event) => {
    event.preventDefault();
    showProblems(view, [{ line: 1, column: 1, message: textarea.validationMessage }]);
    view.focus();
  });
  whenRemoved(textarea, () => view.destroy());
});

wherever("[data-marks-for]", (element) => {
  const textarea = document.getElementById(element.dataset.marksFor);
  for (const name of ["problems", "missing"]) {
    const detail = JSON.parse(element.dataset[name] ?? "[]");
    textarea?.dispatchEvent(new CustomEvent(name, { detail }));
  }
});

function carryOver(view, textarea) {
  const text = view.state.doc.toString();
  if (text === textarea.value) return;
  textarea.value = text;
  textarea.dispatchEvent(new Event("input", { bubbles: true }));
}

function takeOver(view, textarea) {
  const doc = view.state.doc;
  if (doc.toString() === textarea.value) return;
  view.dispatch({ changes: { from: 0, to: doc.length, insert: textarea.value } });
}

function showProblems(view, problems) {
  const found = problems.map((problem) => ({
    ...rangeOfProblem(view.state.doc, problem),
    severity: "error",
    message: problem.message,
  }));
  view.dispatch(setDiagnostics(view.state, found));
  if (problems.length > 0) view.contentDOM.setAttribute("aria-invalid", "true");
  else view.contentDOM.removeAttribute("aria-invalid");
}

function missingMarks(doc, places) {
  return places.flatMap((place) => {
    const { from, to } = rangeOfPath(doc, place);
    const title = `The event has no ${place.path}`;
    return from < to ? [Decoration.mark({ class: "code-missing", attributes: { title } }).range(from, to)] : [];
  });
}

/** What a screen reader says of the editor: the label and the descriptions of the textarea, and how to leave. */
function describe(textarea, label, hint) {
  const described = [textarea.getAttribute("aria-describedby"), hint.id].filter(Boolean).join(" ");
  const name = label?.textContent.trim() ?? textarea.getAttribute("aria-label") ?? textarea.name;
  const isInvalid = textarea.getAttribute("aria-invalid") === "true";
  return { "aria-label": name, "aria-describedby": described, ...(isInvalid && { "aria-invalid": "true" }) };
}

function makeHint(textarea) {
  const hint = document.createElement("p");
  hint.id = `${textarea.id}-leave`;
  hint.className = "field-help code-editor-hint";
  hint.textContent = "Tab indents; Esc, then Tab, leaves the editor.";
  return hint;
}

/** The paths that can be completed, fetched when they are first wanted and when their address has changed. */
function pathsOf(textarea) {
  let address;
  let paths = Promise.resolve([]);
  return () => {
    if (address !== textarea.dataset.pathsUrl) {
      address = textarea.dataset.pathsUrl;
      // Without them one can still write; they are asked for again at the next word.
      paths = fetchPaths(address).catch(() => ((address = undefined), []));
    }
    return paths;
  };
}

async function fetchPaths(address) {
  const answer = await fetch(address, { headers: { accept: "application/json" } });
  return answer.ok ? answer.json() : [];
}

function helpersOf(textarea) {
  return JSON.parse(textarea.dataset.helpers ?? "[]");
}

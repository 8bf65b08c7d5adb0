// Places that the server names, as ranges of the text: lines and columns count from 1, columns in characters.

/** The offset of a place in a CodeMirror `doc`; the nearest there is where the text has become shorter since. */
export function offsetOf(doc, { line, column }) {
  const found = doc.line(Math.max(1, Math.min(line ?? 1, doc.lines)));
  // Python counts a character outside of the basic plane as one, JavaScript as two.
  const before = [...found.text].slice(0, Math.max(0, (column ?? 1) - 1)).join("");
  return found.from + before.length;
}

/** The range of a missing path: the path itself, or the word that stands there. */
export function rangeOfPath(doc, { line, column, path }) {
  const from = offsetOf(doc, { line, column });
  const text = doc.sliceString(from, from + 200);
  const length = text.startsWith(path) ? path.length : (/^[^\s"}{()]+/.exec(text)?.[0].length ?? 0);
  return { from, to: from + length };
}

/** The range of a problem: the word at its place, and at least one character where there is one. */
export function rangeOfProblem(doc, problem) {
  const from = offsetOf(doc, problem);
  const end = doc.lineAt(from).to;
  const word = /^[\w$@.]+/.exec(doc.sliceString(from, end))?.[0].length ?? 1;
  return { from, to: Math.min(end, from + word) };
}

// What can be written at a place in a template: paths of real events, helpers, blocks.

const BLOCKS = ["if", "unless", "each", "with", "list"];

/**
 * Where `before`, the text up to the cursor, ends: `{word, isHead, isBlock}` inside of a mustache, else null. `word` is
 * what has been written of a name; at the head of a tag or of a call in parentheses helpers can stand.
 */
export function placeOf(before) {
  const open = before.lastIndexOf("{{");
  if (open < 0 || before.includes("}}", open) || before[open - 1] === "\\") return null;
  const [opener] = /^\{\{[~{#^&/!]*/.exec(before.slice(open));
  const inside = before.slice(open + opener.length).replace(/"[^"]*"|'[^']*'/g, "_");
  if (/[!/]/.test(opener) || /["']/.test(inside)) return null; // a comment, a block's end, a text that is being written
  const word = /[\w$@.[\]-]*$/.exec(inside)[0];
  const ahead = inside.slice(0, inside.length - word.length);
  return { word, isHead: /(?:^|\()\s*$/.test(ahead), isBlock: opener.includes("#") && ahead.trim() === "" };
}

/** A CodeMirror completion source over `paths()` ([{path, kind, example}], a promise) and `helpers` (names). */
export function templateCompletions(paths, helpers) {
  return async (context) => {
    const line = context.state.doc.lineAt(context.pos);
    const place = placeOf(line.text.slice(0, context.pos - line.from));
    if (!place) return null;
    const names = place.isBlock ? [...BLOCKS, ...helpers] : place.isHead ? helpers : [];
    const fields = (await paths()).map(({ path, kind, example }) => ({
      label: path,
      detail: kind,
      info: shown(example),
      type: "path",
      boost: 1, // before the helpers
    }));
    const calls = names.map((name) => ({ label: name, apply: `${name} `, type: "helper", detail: "helper" }));
    return { from: context.pos - place.word.length, options: [...fields, ...calls], validFor: /^[\w$@.[\]-]*$/ };
  };
}

function shown(example) {
  if (example === undefined || example === null) return undefined;
  const text = typeof example === "string" ? example : JSON.stringify(example);
  return text.length > 120 ? `${text.slice(0, 119)}…` : text;
}

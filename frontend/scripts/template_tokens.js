// The tokens of a template: a body, mostly JSON, with Handlebars mustaches in it, also inside of its texts.
// Works on anything with the methods of CodeMirror's StringStream; a line at a time, the state carries over.
// A token's name is a class of styles/editor.css without its `code-`.

const BLOCKS = new Set(["if", "unless", "each", "with", "list"]);
const OPENER = /^\{\{~?(?:[#/^&{]|!--|!)?/;
const KEY = /^"(?:[^"\\]|\\.)*"(?=\s*:)/;
const NUMBER = /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/;
const TEXT_IN_TAG = /^(?:"(?:\\"|[^"])*"|'(?:\\'|[^'])*')/;
const NAME = /^(?:\[[^\]]*\]|[^\s!"#%-,./;->@[-^`{-~]+)/; // as src/tracklayer/template/lexer.py reads it
const PATH_STEP = /^(?:\.\.|[./])/;

/** What is known at the start of a line. */
export const startState = () => ({
  text: null, // inside of a JSON text: "key" or "string"
  tag: null, // inside of a mustache: what ends it, and what its next name may be
});

export const copyState = (state) => ({ text: state.text, tag: state.tag && { ...state.tag } });

/** Take one token off `stream`; its name, or null for what has none. */
export function nextToken(stream, state) {
  if (stream.sol() && !state.tag) state.text = null; // a JSON text ends with its line
  if (state.tag?.comment) return comment(stream, state);
  if (state.tag) return inTag(stream, state);
  if (stream.match("\\{{")) return state.text; // stands for itself
  const opener = stream.match(OPENER);
  if (opener) return openTag(opener[0], stream, state);
  return state.text ? inText(stream, state) : inBody(stream, state);
}

function openTag(opener, stream, state) {
  if (opener.includes("!")) {
    state.tag = { comment: opener.includes("!--") ? /^--~?\}\}/ : /^\}\}/ };
    return "comment";
  }
  const end = /\{\{~?\{/.test(opener) ? /^\}~?\}\}/ : /^~?\}\}/;
  state.tag = { end, isBlock: /[#/^]/.test(opener), isHead: true, isInPath: false, isVariable: false };
  return "brace";
}

function comment(stream, state) {
  while (!stream.eol()) {
    if (stream.match(state.tag.comment)) {
      state.tag = null;
      break;
    }
    stream.next();
  }
  return "comment";
}

function inTag(stream, state) {
  const { tag } = state;
  if (stream.eatSpace()) {
    tag.isInPath = false;
    return null;
  }
  if (stream.match(tag.end)) {
    state.tag = null;
    return "brace";
  }
  if (stream.match(PATH_STEP)) return step(tag, "path");
  if (stream.match(TEXT_IN_TAG)) return after(tag, "string");
  if (stream.match(/^[()]/)) {
    Object.assign(tag, { isHead: stream.current() === "(", isInPath: false });
    return "bracket";
  }
  if (stream.match("@")) return step(tag, "variable");
  if (!tag.isInPath && stream.match(/^-?\d+(?:\.\d+)?(?=[\s~})\]])/)) return after(tag, "number");
  if (stream.match(NAME)) return name(stream, tag);
  stream.next();
  return stream.current() === "=" || stream.current() === "|" ? null : "invalid";
}

function name(stream, tag) {
  const word = stream.current();
  if (tag.isInPath) return after(tag, tag.isVariable ? "variable" : "path", true);
  if (stream.match("=", false)) return "option";
  if (isKeyword(word, stream, tag)) {
    after(tag, "keyword");
    if (word === "else") Object.assign(tag, { isHead: true, isBlock: true }); // {{else if x}}
    return "keyword";
  }
  if (/^(?:true|false|null|undefined)$/.test(word)) return after(tag, "atom");
  // The first name is a helper where values follow, or where the tag is a block's; else it is a path.
  const takesValues = stream.match(/^\s+(?!~?\}|\s)/, false);
  const isPath = stream.match(/^[./]/, false);
  if (tag.isHead && !isPath && (takesValues || tag.isBlock)) return after(tag, "helper");
  return after(tag, "path", true);
}

function isKeyword(word, stream, tag) {
  if (word === "this") return !stream.match(/^[./]/, false);
  if (word === "as") return Boolean(stream.match(/^\s+\|/, false));
  return tag.isHead && (word === "else" || (tag.isBlock && BLOCKS.has(word)));
}

/** Between the parts of a path: the next name belongs to it. */
function step(tag, token) {
  const isVariable = token === "variable" || (tag.isInPath && tag.isVariable);
  Object.assign(tag, { isHead: false, isInPath: true, isVariable });
  return tag.isVariable ? "variable" : token;
}

function after(tag, token, isPath = false) {
  Object.assign(tag, { isHead: false, isInPath: isPath, isVariable: isPath && token === "variable" });
  return token;
}

function inBody(stream, state) {
  if (stream.eatSpace()) return null;
  if (stream.peek() === '"') {
    state.text = stream.match(KEY, false) ? "key" : "string";
    stream.next();
    return state.text;
  }
  if (stream.match(NUMBER)) return "number";
  if (stream.match(/^(?:true|false|null)\b/)) return "atom";
  if (stream.match(/^[{}[\],:]/)) return "bracket";
  stream.match(/^\w+/) || stream.next();
  return null;
}

function inText(stream, state) {
  const kind = state.text;
  while (!stream.eol()) {
    if (stream.match(/^\\?\{\{/, false)) return kind; // never at once: nextToken has looked
    const character = stream.next();
    if (character === "\\") stream.next();
    else if (character === '"') {
      state.text = null;
      return kind;
    }
  }
  return kind;
}

import assert from "node:assert/strict";
import { test } from "node:test";

import { StringStream } from "@codemirror/language";

import { copyState, nextToken, startState } from "../scripts/template_tokens.js";

/** The tokens of a template as `name:text`, without those that have no name. */
function tokens(template) {
  const found = [];
  let state = startState();
  for (const line of template.split("\n")) {
    const stream = new StringStream(line, 2, 2);
    state = copyState(state); // as CodeMirror does between lines
    while (!stream.eol()) {
      stream.start = stream.pos;
      const name = nextToken(stream, state);
      assert.ok(stream.pos > stream.start, `no progress at ${stream.pos} of ${line}`);
      if (name) found.push(`${name}:${stream.current()}`);
    }
  }
  return found;
}

test("a JSON body has keys, texts, numbers and words", () => {
  assert.deepEqual(tokens('{"a\\"b": "c", "d": [-1.5e3, true, null]}'), [
    "bracket:{", 'key:"', 'key:a\\"b"', "bracket::", 'string:"', 'string:c"', "bracket:,", 'key:"', 'key:d"',
    "bracket::", "bracket:[", "number:-1.5e3", "bracket:,", "atom:true", "bracket:,", "atom:null", "bracket:]", "bracket:}",
  ]);
});

test("a mustache inside of a text is a path, and the text goes on behind it", () => {
  assert.deepEqual(tokens('"x {{user_data.email_hash}} y"'), [
    'string:"', "string:x ", "brace:{{", "path:user_data", "path:.", "path:email_hash", "brace:}}", 'string: y"',
  ]);
});

test("a name with values behind it is a helper, with texts, numbers and options", () => {
  assert.deepEqual(tokens('{{date occurred_at "iso" 12 tz="UTC"}}'), [
    "brace:{{", "helper:date", "path:occurred_at", 'string:"iso"', "number:12", "option:tz", 'string:"UTC"', "brace:}}",
  ]);
});

test("{{json properties}} at the end of an object closes at the first }}", () => {
  assert.deepEqual(tokens('{"p": {{json properties}}}').slice(4), [
    "brace:{{", "helper:json", "path:properties", "brace:}}", "bracket:}",
  ]);
});

test("blocks are words of the language, over lines", () => {
  const template = "{{#each properties.items as |item|}}\n{{@index}}{{item.id}}\n{{else if this}}{{^}}\n{{/each}}";
  assert.deepEqual(tokens(template), [
    "brace:{{#", "keyword:each", "path:properties", "path:.", "path:items", "keyword:as", "path:item", "brace:}}",
    "brace:{{", "variable:@", "variable:index", "brace:}}", "brace:{{", "path:item", "path:.", "path:id", "brace:}}",
    "brace:{{", "keyword:else", "keyword:if", "keyword:this", "brace:}}", "brace:{{^", "brace:}}",
    "brace:{{/", "keyword:each", "brace:}}",
  ]);
});

test("a field that is called like a block stays a field", () => {
  assert.deepEqual(tokens("{{list}}{{#if list}}"), [
    "brace:{{", "path:list", "brace:}}", "brace:{{#", "keyword:if", "path:list", "brace:}}",
  ]);
});

test("calls in parentheses, parts of lists, bracketed names and steps up are known", () => {
  assert.deepEqual(tokens("{{upper (concat items.0.[odd name] ../x)}}"), [
    "brace:{{", "helper:upper", "bracket:(", "helper:concat", "path:items", "path:.", "path:0", "path:.",
    "path:[odd name]", "path:..", "path:/", "path:x", "bracket:)", "brace:}}",
  ]);
});

test("comments go over lines and over mustaches", () => {
  assert.deepEqual(tokens("{{!-- a }}\n{{b}} --}}{{! c }}1"), [
    "comment:{{!--", "comment: a }}", "comment:{{b}} --}}", "comment:{{!", "comment: c }}", "number:1",
  ]);
});

test("an escaped mustache is text", () => {
  assert.deepEqual(tokens('"a \\{{b}}"'), ['string:"', "string:a ", "string:\\{{", 'string:b}}"']);
});

test("raw mustaches and white space control are part of the braces", () => {
  assert.deepEqual(tokens("{{{a}}}{{~b~}}{{~#if c~}}"), [
    "brace:{{{", "path:a", "brace:}}}", "brace:{{~", "path:b", "brace:~}}",
    "brace:{{~#", "keyword:if", "path:c", "brace:~}}",
  ]);
});

test("a text that is not closed ends with its line", () => {
  assert.deepEqual(tokens('"a {{b}}\n1'), ['string:"', "string:a ", "brace:{{", "path:b", "brace:}}", "number:1"]);
});

test("any text is taken to its end", () => {
  let seed = 7;
  const pieces = ["{{", "}}", " ", "\n", "--", "😀", ...`{}"'\\#/!@.()=a1|~`];
  for (let round = 0; round < 2_000; round++) {
    let text = "";
    for (let length = 0; length < 24; length++) {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      text += pieces[seed % pieces.length];
    }
    tokens(text); // which asserts progress
  }
});

import assert from "node:assert/strict";
import { test } from "node:test";

import { placeOf } from "../scripts/completion.js";

test("outside of a mustache nothing is completed", () => {
  for (const before of ["", '{"a": "b', "{{a}}", "{{a}} b", "\\{{a", "{{!-- a", "{{/ea", '{{date x "is']) {
    assert.equal(placeOf(before), null, before);
  }
});

test("the first word may be a helper, later ones are paths", () => {
  assert.deepEqual(placeOf('"x": "{{'), { word: "", isHead: true, isBlock: false });
  assert.deepEqual(placeOf("{{user_data.em"), { word: "user_data.em", isHead: true, isBlock: false });
  assert.deepEqual(placeOf('{{date "a b" occ'), { word: "occ", isHead: false, isBlock: false });
  assert.deepEqual(placeOf("{{upper (con"), { word: "con", isHead: true, isBlock: false });
});

test("a block begins with its name", () => {
  assert.deepEqual(placeOf("{{#ea"), { word: "ea", isHead: true, isBlock: true });
  assert.deepEqual(placeOf("{{#each pro"), { word: "pro", isHead: false, isBlock: false });
  assert.deepEqual(placeOf("{{~#if "), { word: "", isHead: false, isBlock: false });
});

import assert from "node:assert/strict";
import { test } from "node:test";

import { Text } from "@codemirror/state";

import { offsetOf, rangeOfPath, rangeOfProblem } from "../scripts/marks.js";

const doc = Text.of(["{", '  "a": "😀{{user_data.phone}}"', "}"]);

test("columns count characters, not halves of them", () => {
  const [from, to] = [12, 21].map((column) => offsetOf(doc, { line: 2, column }));
  assert.equal(doc.sliceString(from, to), "user_data");
});

test("a missing path is marked whole", () => {
  const { from, to } = rangeOfPath(doc, { line: 2, column: 12, path: "user_data.phone" });
  assert.equal(doc.sliceString(from, to), "user_data.phone");
});

test("a path that is written in another way is marked as far as its word goes", () => {
  const { from, to } = rangeOfPath(doc, { line: 2, column: 12, path: "user_data.[phone]" });
  assert.equal(doc.sliceString(from, to), "user_data.phone");
});

test("a place behind the end of a text that has become shorter is its end", () => {
  assert.equal(offsetOf(doc, { line: 9, column: 99 }), doc.length);
  assert.deepEqual(rangeOfProblem(doc, { line: 3, column: 2 }), { from: doc.length, to: doc.length });
});

test("a problem without a place stands at the beginning", () => {
  assert.deepEqual(rangeOfProblem(doc, { line: null, column: null }), { from: 0, to: 1 });
});

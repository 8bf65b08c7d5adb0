import assert from "node:assert/strict";
import { test } from "node:test";

process.env.TZ = "UTC";

const { axisLabels, momentLabels, stacked, written } = await import("../scripts/chart_values.js");

test("a stack adds up, and nothing counts as zero", () => {
  assert.deepEqual(stacked([[1, 2], [null, 3], [4, null]]), [[1, 2], [1, 5], [5, 5]]);
});

test("numbers have as many digits as help, and their unit", () => {
  assert.equal(written(0, ""), "0");
  assert.equal(written(0.1234, "/s"), "0.12/s");
  assert.equal(written(1234567), "1\u202f234\u202f567");
  assert.equal(written(87.5, " ms"), "87.5\u202fms");
  assert.equal(written(1234, "ms"), "1.23\u202fs");
  assert.equal(written(null, "ms"), "–");
});

test("no two steps of an axis have the same label", () => {
  assert.deepEqual(axisLabels([0, 0.005, 0.01, 0.015, 0.02], "/s"), ["0/s", "0.005/s", "0.01/s", "0.015/s", "0.02/s"]);
  assert.deepEqual(axisLabels([0, 0.00025, 0.0005], "/s"), ["0/s", "0.00025/s", "0.0005/s"]);
  assert.deepEqual(axisLabels([0, 500, 1000], " ms"), ["0\u202fms", "500\u202fms", "1\u202fs"]);
});

test("an axis says the clock, and the day where one begins", () => {
  const at = (text) => Date.parse(text) / 1000;
  const night = [at("2026-05-11T23:30Z"), at("2026-05-12T00:00Z"), at("2026-05-12T00:30Z")];
  assert.deepEqual(momentLabels(night), ["23:30", "12 May", "00:30"]);
  assert.deepEqual(momentLabels([at("2026-05-11T12:00Z"), at("2026-05-12T12:00Z")]), ["11 May", "12 May"]);
});

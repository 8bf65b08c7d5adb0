import assert from "node:assert/strict";
import { test } from "node:test";

process.env.TZ = "Asia/Kolkata"; // read when the first date is made

const { ago, day, exact, time } = await import("../scripts/moments.js");

const moment = new Date("2026-05-12T20:30:02.500Z");

test("a moment is written in the viewer's zone", () => {
  assert.equal(time(moment), "13 May, 02:00:02");
  assert.equal(day(moment), "13 May");
});

test("the exact one has UTC and the zone", () => {
  assert.match(exact(moment), /^2026-05-12T20:30:02\.500Z · 13 May 2026, 02:00:02 Asia\/(Kolkata|Calcutta)$/);
});

test("how long ago is said in one unit, the future too", () => {
  const after = (seconds) => ago(moment, new Date(moment.getTime() + seconds * 1000));
  assert.equal(after(59), "just now");
  assert.equal(after(60), "1\u202fm ago");
  assert.equal(after(3_599), "59\u202fm ago");
  assert.equal(after(7_200), "2\u202fh ago");
  assert.equal(after(200_000), "2\u202fd ago");
  assert.equal(after(-20), "in under 1\u202fm");
  assert.equal(after(-150), "in 2\u202fm");
});

import assert from "node:assert/strict";
import { test } from "node:test";

import { readFilter, writeFilter } from "../scripts/filter_chips.js";

const GUIDE = `{
  "event_name": ["purchase", "refund_requested"],
  "platform": ["shopify"],
  "segment": ["vip_customers", "b2b_accounts"]
}`;

test("the guide's filter is all chips", () => {
  assert.deepEqual(readFilter(GUIDE), {
    chips: {
      event_name: ["purchase", "refund_requested"],
      platform: ["shopify"],
      segment: ["vip_customers", "b2b_accounts"],
    },
    rest: [],
  });
});

test("a text alone is one chip, and the same value twice is one too", () => {
  assert.deepEqual(readFilter('{"platform": "shopify", "segment": ["a", "a"]}').chips, {
    event_name: [],
    platform: ["shopify"],
    segment: ["a"],
  });
});

test("an empty text is a filter without conditions", () => {
  assert.deepEqual(readFilter("  "), { chips: { event_name: [], platform: [], segment: [] }, rest: [] });
});

test("operators, numbers and other paths are kept for the JSON", () => {
  const text = '{"event_name": {"$prefix": "p"}, "segment": [1], "properties.value": {"$gte": 100.00}}';
  const { chips, rest } = readFilter(text);
  assert.deepEqual(chips, { event_name: [], platform: [], segment: [] });
  assert.deepEqual(rest, [
    { key: "event_name", source: '{"$prefix": "p"}' },
    { key: "segment", source: "[1]" },
    { key: "properties.value", source: '{"$gte": 100.00}' },
  ]);
});

test("a changed chip leaves the others and the order as they are written, digit for digit", () => {
  const text =
    '{"properties.value": {"$gte": 12345678901234567890.10}, "platform":  "shopify", ' +
    '"$or": [{"a.b": "},{"}], "event_name": ["x"]}';
  const { chips } = readFilter(text);
  assert.equal(
    writeFilter(text, { ...chips, event_name: ["x", 'say "hi"'] }),
    `{
  "properties.value": {"$gte": 12345678901234567890.10},
  "platform": "shopify",
  "$or": [{"a.b": "},{"}],
  "event_name": ["x", "say \\"hi\\""]
}`,
  );
});

test("new chips come last, and a key without chips goes", () => {
  const chips = { event_name: [], platform: [], segment: ["vip"] };
  assert.equal(writeFilter('{"event_name": ["purchase"]}', chips), '{\n  "segment": ["vip"]\n}');
  assert.equal(writeFilter('{"event_name": ["purchase"]}', { ...chips, segment: [] }), "{}");
});

test("what chips cannot show of their own keys is not lost by a change beside it", () => {
  const text = '{"event_name": {"$ne": "test"}}';
  const { chips } = readFilter(text);
  const changed = writeFilter(text, { ...chips, platform: ["web"] });
  assert.equal(changed, '{\n  "event_name": {"$ne": "test"},\n  "platform": ["web"]\n}');
});

test("reading what was written gives the same chips, whatever the values are", () => {
  const odd = ["", " ", "a,b", '"', "\\", "{", "}]", "\u2028", "😀", "</script>", "a\nb"];
  const chips = { event_name: odd, platform: [...odd].reverse(), segment: ["x"] };
  assert.deepEqual(readFilter(writeFilter("", chips)).chips, chips);
});

test("what is no filter says why", () => {
  assert.throws(() => readFilter('{"event_name": [}'), SyntaxError);
  assert.throws(() => readFilter("[]"), /object/);
  assert.throws(() => readFilter("null"), /object/);
  assert.throws(() => readFilter('{"platform": "a", "platform": "b"}'), /"platform" stands twice/);
});

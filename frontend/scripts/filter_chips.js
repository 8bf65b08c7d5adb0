// A filter's JSON as chips, and chips as JSON. What chips cannot show is kept as it was written, digit for digit.

/** The keys that have chips. */
export const CHIP_KEYS = ["event_name", "platform", "segment"];

/**
 * Read a filter: `{chips: {event_name: ["purchase"], …}, rest: [{key, source}]}`. `rest` are the conditions that chips
 * cannot show, with their JSON as it is written. Throws an Error that says what is wrong with the text.
 */
export function readFilter(text) {
  const chips = Object.fromEntries(CHIP_KEYS.map((key) => [key, []]));
  const rest = [];
  for (const { key, source } of members(text)) {
    const values = CHIP_KEYS.includes(key) ? texts(JSON.parse(source)) : null;
    if (values) chips[key] = values;
    else rest.push({ key, source });
  }
  return { chips, rest };
}

/** The filter `text` with other `chips`; its other conditions, their order and their writing stay. */
export function writeFilter(text, chips) {
  const before = members(text);
  const shown = readFilter(text).chips;
  const lines = [];
  for (const { key, source } of before) {
    const isChip = CHIP_KEYS.includes(key) && texts(JSON.parse(source)) !== null;
    const isSame = isChip && JSON.stringify(shown[key]) === JSON.stringify(chips[key]);
    if (!isChip || isSame) lines.push([key, source]);
    else if (chips[key].length > 0) lines.push([key, list(chips[key])]);
  }
  const fresh = CHIP_KEYS.filter((key) => chips[key].length > 0 && !before.some((member) => member.key === key));
  lines.push(...fresh.map((key) => [key, list(chips[key])]));
  const written = lines.map(([key, source]) => `  ${JSON.stringify(key)}: ${source}`);
  return written.length === 0 ? "{}" : `{\n${written.join(",\n")}\n}`;
}

const list = (values) => `[${values.map((value) => JSON.stringify(value)).join(", ")}]`;

/** The values that chips show; null where they cannot: operators, numbers, null. */
function texts(value) {
  const values = Array.isArray(value) ? value : [value];
  return values.every((each) => typeof each === "string") ? [...new Set(values)] : null;
}

/** The members of a JSON object, each value as it is written. JSON.parse alone would lose digits: 100.00, 2^53 + 1. */
function members(text) {
  const written = text.trim() || "{}";
  const value = JSON.parse(written);
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isObject) throw new Error("A filter is a JSON object.");
  const found = [];
  let at = written.indexOf("{") + 1;
  while (at < written.length) {
    const end = endOfMember(written, at);
    const member = written.slice(at, end);
    const key = /^\s*("(?:[^"\\]|\\.)*")\s*:/.exec(member);
    if (key) found.push({ key: JSON.parse(key[1]), source: member.slice(key[0].length).trim() });
    at = end + 1;
  }
  const twice = found.find(({ key }, index) => found.findIndex((other) => other.key === key) < index);
  if (twice) throw new Error(`"${twice.key}" stands twice.`);
  return found;
}

/** Where the member that starts at `at` ends: at its comma, or at the brace that closes the object. */
function endOfMember(text, at) {
  let depth = 0;
  for (let index = at; index < text.length; index++) {
    const character = text[index];
    if (character === '"') index = endOfText(text, index);
    else if ("{[".includes(character)) depth++;
    else if ("}]".includes(character) && depth-- === 0) return index;
    else if (character === "," && depth === 0) return index;
  }
  return text.length;
}

function endOfText(text, at) {
  let index = at + 1;
  while (text[index] !== '"') index += text[index] === "\\" ? 2 : 1;
  return index;
}

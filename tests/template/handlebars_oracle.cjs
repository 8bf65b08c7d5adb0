// Renders with Handlebars.js: one JSON object a line in ({template, data}), one out ({text} or {error}).
const Handlebars = require("handlebars");
const readline = require("node:readline");

// Without escaping, and without its compiler option for that, which would add up numbers that stand in a row.
Handlebars.Utils.escapeExpression = (value) => (value === null || value === undefined ? "" : String(value));

// TrackLayer writes an object as its JSON, where JavaScript would write [object Object].
function jsonAsText(value) {
  if (value !== null && typeof value === "object") {
    Object.values(value).forEach(jsonAsText);
    if (!Array.isArray(value)) {
      Object.defineProperty(value, "toString", { value: () => JSON.stringify(value), enumerable: false });
    }
  }
  return value;
}

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const { template, data } = JSON.parse(line);
  let answer;
  try {
    answer = { text: Handlebars.compile(template)(jsonAsText(data)) };
  } catch (error) {
    answer = { error: String(error.message) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
});

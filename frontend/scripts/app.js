// What every page loads: htmx, set up for a strict Content-Security-Policy, and the console's own small scripts.
import htmx from "htmx.org";

import "./requests.js";
import "./toasts.js";
import "./times.js";
import "./theme.js";
import "./keyboard.js";
import "./rows.js";
import "./menu.js";
import "./drawer.js";
import "./confirm.js";
import "./copy.js";
import "./live.js";
import "./steps.js";
import "./stages.js";
import "./chips.js";

Object.assign(htmx.config, {
  allowEval: false,
  allowScriptTags: false,
  includeIndicatorStyles: false, // they would be an inline style
  selfRequestsOnly: true,
  historyCacheSize: 0, // pages show customers' data: nothing of them is kept in the browser's storage
});

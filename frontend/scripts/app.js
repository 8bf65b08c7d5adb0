// What every page loads: htmx and the console's own small scripts.
import "./htmx_settings.js";
import "./requests.js";
import "./refocus.js";
import "./answers.js";
import "./toasts.js";
import "./times.js";
import "./theme.js";
import "./keyboard.js";
import "./rows.js";
import "./menu.js";
import "./tabs.js";
import "./drawer.js";
import "./confirm.js";
import "./once.js";
import "./copy.js";
import "./live.js";
import "./steps.js";
import "./stages.js";
import "./chips.js";
import "./faults.js"; // after what shows and hides fields

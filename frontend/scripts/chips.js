// [data-filter]: one filter in two views, chips and JSON; the JSON's textarea is the field that is sent.
//   textarea[data-filter-json]                  the filter
//   [data-filter-view="chips"], ="json"         the two panels; without this script only the JSON is shown
//   button[data-filter-show="chips"], ="json"   switch between them; hidden without this script
//   [data-chips="event_name"]                   in the chips' panel, for event_name, platform and segment: a
//                                               ul.chips, and an input, which may have suggestions by its list
//   [data-filter-rest]                          shown where chips cannot show all; its [data-filter-rest-json] has the rest
//   [data-filter-problem]                       says why the JSON cannot be shown as chips
import { CHIP_KEYS, readFilter, writeFilter } from "./filter_chips.js";
import { announce } from "./toasts.js";
import { wherever } from "./wherever.js";

let waiting = null; // while a pointer is down: what is to be done after the click that it may become

document.addEventListener("pointerdown", () => (waiting ??= []), true);
for (const name of ["pointerup", "pointercancel"]) {
  document.addEventListener(name, () => {
    for (const action of waiting ?? []) setTimeout(action);
    waiting = null;
  }, true);
}

wherever("[data-filter]", (element) => {
  const json = element.querySelector("[data-filter-json]");
  const panels = [...element.querySelectorAll("[data-filter-view]")];
  const switches = [...element.querySelectorAll("[data-filter-show]")];

  function show(view) {
    for (const panel of panels) panel.hidden = panel.dataset.filterView !== view;
    for (const button of switches) button.ariaPressed = String(button.dataset.filterShow === view);
  }

  /** Paint the chips of the JSON as it is now; false where it has none to show. */
  function paint() {
    const [filter, problem] = attempt(() => readFilter(json.value));
    for (const button of switches) button.disabled = button.dataset.filterShow === "chips" && !filter;
    const said = element.querySelector("[data-filter-problem]");
    if (said) said.textContent = problem ?? "";
    if (!filter) return false;
    for (const key of CHIP_KEYS) paintChips(element.querySelector(`[data-chips="${key}"]`), filter.chips[key], change);
    paintRest(element.querySelector("[data-filter-rest]"), filter.rest);
    return true;
  }

  function change(key, values) {
    json.value = writeFilter(json.value, { ...readFilter(json.value).chips, [key]: values });
    json.dispatchEvent(new Event("input", { bubbles: true }));
  }

  for (const key of CHIP_KEYS) {
    const field = element.querySelector(`[data-chips="${key}"]`);
    listen(field, () => readFilter(json.value).chips[key], (values) => change(key, values));
  }
  json.addEventListener("input", () => whenReleased(paint));
  for (const button of switches) {
    button.hidden = false;
    button.addEventListener("click", () => show(button.dataset.filterShow));
  }
  show(paint() ? "chips" : "json");
});

/** Call `action`, which moves what stands below: not between a press and its release, which would miss its button. */
function whenReleased(action) {
  if (waiting) waiting.push(action);
  else action();
}

/** Type and press Enter or a comma to add, Backspace in the empty input to remove the last. */
function listen(field, values, change) {
  const input = field.querySelector("input");
  const add = () => {
    const added = input.value.split(",").map((each) => each.trim()).filter(Boolean);
    input.value = "";
    if (added.length > 0) change([...new Set([...values(), ...added])]);
  };
  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if ((event.key === "Enter" && input.value.trim()) || event.key === ",") {
      event.preventDefault(); // Enter would send the form
      add();
    } else if (event.key === "Backspace" && input.value === "") {
      change(values().slice(0, -1));
    }
  });
  input.addEventListener("change", add); // chosen from the suggestions, or left
  // What is typed here is no change of the form until it is a chip.
  for (const name of ["input", "change"]) input.addEventListener(name, (event) => event.stopPropagation());
}

function paintChips(field, values, change) {
  const chips = field.querySelector(".chips");
  const key = field.dataset.chips;
  chips.replaceChildren(...values.map((value, index) => {
    const chip = document.createElement("li");
    chip.className = "chip";
    const remove = document.createElement("button");
    remove.type = "button";
    remove.ariaLabel = `Remove ${value}`;
    remove.textContent = "×";
    remove.addEventListener("click", () => {
      change(key, values.filter((each) => each !== value));
      announce(`${value} removed`);
      (chips.querySelectorAll("button")[index] ?? field.querySelector("input")).focus();
    });
    chip.append(value, remove);
    return chip;
  }));
}

function paintRest(place, rest) {
  if (!place) return;
  place.hidden = rest.length === 0;
  const lines = rest.map(({ key, source }) => `${JSON.stringify(key)}: ${source}`);
  place.querySelector("[data-filter-rest-json]").textContent = lines.join(",\n");
}

function attempt(action) {
  try {
    return [action(), null];
  } catch (problem) {
    return [null, problem.message];
  }
}

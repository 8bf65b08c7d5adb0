// Rows of table[data-rows], each tr[tabindex]: `j` and `k` move, Enter or a click opens the row's link, `r` presses its
// [data-replay], or away from the rows that of the #delivery that is shown.
import { isShortcut } from "./typing.js";

const ROW = "table[data-rows] tr[tabindex]";
const OWN_BUSINESS = "a, button, input, label, select, summary, textarea"; // of what stands in a row

let last = null; // the row that had the focus: the next one is after it, also from within its drawer

document.addEventListener("focusin", ({ target }) => (last = target.closest(ROW) ?? last));

document.addEventListener("keydown", (event) => {
  if (!isShortcut(event)) return;
  const focused = document.activeElement;
  const action = {
    j: () => move(1),
    k: () => move(-1),
    r: () => (focused.closest(ROW) ?? document.getElementById("delivery"))?.querySelector("[data-replay]")?.click(),
    Enter: focused.matches(ROW) && (() => open(focused)),
  }[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

document.addEventListener("click", (event) => {
  const row = event.target.closest(ROW);
  const isSelecting = getSelection().toString() !== "";
  if (row && !isSelecting && !event.target.closest(OWN_BUSINESS)) open(row);
});

function move(step) {
  const rows = [...document.querySelectorAll(ROW)].filter((row) => row.checkVisibility());
  const latest = last?.id ? document.getElementById(last.id) : last; // it may have come anew
  const at = rows.indexOf(document.activeElement.closest(ROW) ?? latest);
  const row = at < 0 ? rows.at(step > 0 ? 0 : -1) : rows[at + step];
  row?.focus();
  row?.scrollIntoView({ block: "nearest" });
}

function open(row) {
  (row.querySelector("a[data-drawer], a.primary") ?? row.querySelector("a[href]"))?.click();
}

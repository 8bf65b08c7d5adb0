// The five-step editor of a destination, beside what steps.js, chips.js, stages.js and editor.js do.
//   [data-field-problems]           comes with each answer: {field: text}, put at [data-problem="field"] and its input
//   [data-insert], [data-insert-text]   a chip inserts its text into the field of the first kind that was last used
//   datalist[data-values-url]       is filled when its input is first used
//   a[data-focus="field"]           leads to a field in another step
//   input[data-open-step]           tells the server which step is open
import { wherever } from "./wherever.js";

wherever("[data-field-problems]", (element) => {
  const problems = JSON.parse(element.dataset.fieldProblems);
  for (const place of document.querySelectorAll("[data-problem]")) {
    const name = place.dataset.problem;
    if (name.startsWith("secret_") || name === "skip") continue; // nobody looks at them with a keystroke
    const text = problems[name] ?? "";
    place.hidden = text === "";
    place.querySelector("span").textContent = text;
    const field = document.getElementById(`f-${name}`);
    if (text) field?.setAttribute("aria-invalid", "true");
    else field?.removeAttribute("aria-invalid");
  }
  for (const link of document.querySelectorAll("a[data-step-link]")) {
    const step = document.querySelector(link.hash);
    link.classList.toggle("is-troubled", Boolean(step?.querySelector("[data-problem]:not([hidden])")));
  }
});

// Enter would press the form's first button, which saves the destination, without the secret.
document.addEventListener("keydown", (event) => {
  const fields = event.target.closest(".make-secret-form");
  if (event.key !== "Enter" || event.isComposing || !event.target.matches("input") || !fields) return;
  event.preventDefault();
  fields.querySelector("button").click();
});

// A secret that was made in place may be all that the request lacked: look again, as after a keystroke.
document.addEventListener("htmx:afterSwap", ({ detail }) => {
  if (detail.target.id !== "editor-secrets") return;
  if (document.activeElement === document.body) document.querySelector(".make-secret summary").focus();
  document.querySelector("form.destination-editor")?.dispatchEvent(new Event("input"));
});

// A chip keeps the focus where it is, so that its text lands at the cursor.
let last = null;

document.addEventListener("focusin", ({ target }) => {
  if (target.matches("[data-insert]") || target.closest(".field:has([data-insert]) .cm-content")) last = target;
});

document.addEventListener("mousedown", (event) => {
  if (event.target.closest("[data-insert-text]")) event.preventDefault();
});

document.addEventListener("click", (event) => {
  const chip = event.target.closest("[data-insert-text]");
  if (!chip) return;
  const step = chip.closest("[data-step]");
  const target = last?.isConnected && step.contains(last) ? last : step.querySelector(".cm-content, textarea[data-insert]");
  target?.focus();
  // The one way that goes through an editor's own undo, and through an input's.
  document.execCommand("insertText", false, chip.dataset.insertText);
});

wherever("datalist[data-values-url]", (list) => {
  const input = document.querySelector(`input[list="${list.id}"]`);
  input.addEventListener("focus", async () => {
    const answer = await fetch(list.dataset.valuesUrl, { headers: { accept: "application/json" } });
    if (!answer.ok) return;
    const values = await answer.json();
    list.replaceChildren(...values.map(({ value, count }) => new Option(`${count} of the newest events`, value)));
  }, { once: true });
});

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-focus]");
  const field = link && document.getElementById(`f-${link.dataset.focus}`);
  if (!field) return;
  const go = () => {
    field.closest("details")?.setAttribute("open", "");
    const shown = field.hidden ? field.parentElement.querySelector(".cm-content") : field;
    shown?.focus();
  };
  // The step has to be open first; steps.js hears of it before.
  if (location.hash === link.hash) go();
  else window.addEventListener("hashchange", go, { once: true });
});

wherever("form.destination-editor", (form) => {
  const remember = () => {
    if (form.isConnected && location.hash) form.querySelector("[data-open-step]").value = location.hash.slice(1);
  };
  remember();
  window.addEventListener("hashchange", remember);

  let isDirty = form.querySelector("[aria-invalid=true]") !== null;
  form.addEventListener("input", (event) => {
    isDirty ||= !event.target.name?.startsWith("sample");
  });
  form.addEventListener("submit", () => (isDirty = false));
  window.addEventListener("beforeunload", (event) => {
    if (isDirty && form.isConnected) event.preventDefault();
  });
});

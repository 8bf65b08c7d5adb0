// Asks before what cannot be undone.
//   [data-confirm="Discard 312 dead letters?"]  a form, button or link: a dialog asks first; the button in it says
//                                               what the asking one says, or [data-confirm-yes]
//   form[data-confirm-name="Slack"]             its submit buttons work once [data-confirm-typed] says the same name
import { wherever } from "./wherever.js";

const agreed = new WeakSet(); // what has been said yes to, until it happens a moment later

// Captured, so that neither the browser nor htmx has begun.
document.addEventListener("click", (event) => {
  const asking = event.target.closest("a[data-confirm], button[data-confirm]");
  if (asking) hold(event, asking, asking, () => asking.click());
}, true);

document.addEventListener("submit", (event) => {
  const form = event.target;
  const button = event.submitter;
  if (form.matches("[data-confirm]")) hold(event, form, button ?? form, () => form.requestSubmit(button));
}, true);

function hold(event, asking, button, proceed) {
  if (agreed.delete(asking)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  ask(asking.dataset.confirm, asking.dataset.confirmYes ?? button.innerText.trim(), () => {
    agreed.add(asking);
    proceed();
    agreed.delete(asking); // a form with a fault was not sent, and is asked about again
  });
}

function ask(question, yes, proceed) {
  const dialog = document.createElement("dialog");
  dialog.className = "dialog stack";
  const words = document.createElement("p");
  words.id = "confirm-question";
  words.className = "break";
  words.textContent = question;
  dialog.setAttribute("aria-labelledby", words.id);
  const foot = document.createElement("div");
  foot.className = "dialog-foot";
  // Cancel comes first and so has the focus: Enter does no harm.
  foot.append(button("Cancel", "button"), button(yes || "Yes", "button button-danger", proceed));
  dialog.append(words, foot);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();

  function button(text, className, action) {
    const made = document.createElement("button");
    made.type = "button";
    made.className = className;
    made.textContent = text;
    made.addEventListener("click", () => {
      dialog.close();
      action?.();
    });
    return made;
  }
}

wherever("form[data-confirm-name]", (form) => {
  const typed = form.querySelector("[data-confirm-typed]");
  const buttons = form.querySelectorAll("button[type=submit]");
  const check = () => buttons.forEach((button) => (button.disabled = typed.value.trim() !== form.dataset.confirmName.trim()));
  typed.addEventListener("input", check);
  check();
});

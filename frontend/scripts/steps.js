// form[data-steps]: shows one fieldset[data-step] at a time, the one that the address names (#transport).
//   a[data-step-link][href="#transport"]        the stepper's links; the current one gets aria-current="step"
//   button[data-step-next], [data-step-back]    inside a step
//   input[data-open-step]                       inside the form: carries the open step's id; a form that comes with an
//                                               answer opens the step that it names
// Without this script all steps stand one below the other.
import { wherever } from "./wherever.js";

let isAnswer = false; // whether a form comes with an answer, and not with the page

wherever("[data-steps]", (form) => {
  const steps = [...form.querySelectorAll("[data-step]")];
  const links = [...document.querySelectorAll("a[data-step-link]")];

  const carrier = form.querySelector("[data-open-step]");

  function show(step) {
    if (carrier) carrier.value = step.id;
    for (const each of steps) each.hidden = each !== step;
    for (const link of links) {
      if (link.hash === `#${step.id}`) link.setAttribute("aria-current", "step");
      else link.removeAttribute("aria-current");
    }
  }

  const named = () => steps.find((step) => `#${step.id}` === location.hash);
  const carried = () => steps.find((step) => step.id === carrier?.value);
  const go = (step) => step && (location.hash = step.id);

  show((isAnswer ? carried() ?? named() : named() ?? carried()) ?? steps[0]);
  if (isAnswer) history.replaceState(history.state, "", `#${steps.find((step) => !step.hidden).id}`);
  isAnswer = true;

  window.addEventListener("hashchange", () => {
    const step = form.isConnected && named();
    if (!step) return;
    show(step);
    const heading = step.querySelector("h2, legend") ?? step;
    heading.tabIndex = -1;
    heading.focus({ preventScroll: true });
    if (form.getBoundingClientRect().top < 0) form.scrollIntoView();
  });

  form.addEventListener("click", (event) => {
    const at = steps.indexOf(event.target.closest("[data-step]"));
    if (event.target.closest("[data-step-next]")) go(steps[at + 1]);
    if (event.target.closest("[data-step-back]")) go(steps[at - 1]);
  });

  // The browser cannot point at a fault in a step that is not shown, and would refuse to send without a word.
  form.addEventListener("invalid", (event) => {
    const step = event.target.closest("[data-step]");
    const isFirst = form.querySelector(":invalid:not(fieldset)") === event.target;
    if (step?.hidden && isFirst) show(step);
  }, true);
});

// A form that the browser itself posts is sent once: until its answer is here, or the page is come back to, a second press
// does nothing. htmx has prevented what it sends by itself, and syncs that. Nothing tells of a sending that was stopped
// (Esc), so after a while the form may be sent again: of two that arrive after all the server takes one.
const PATIENCE = 10_000; // milliseconds; the server answers sooner, if only that it cannot now
let sent = new WeakMap(); // form → when

// At the window, after all that may prevent it.
window.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.getAttribute("method") !== "post") return;
  if (performance.now() < sent.get(form) + PATIENCE) event.preventDefault();
  else sent.set(form, performance.now());
});

window.addEventListener("pageshow", () => (sent = new WeakMap()));

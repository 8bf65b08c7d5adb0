// A form that the browser itself posts is sent once: until its answer is here, or the page is come back to, a second press
// does nothing. htmx has prevented what it sends by itself, and syncs that.
let sent = new WeakSet();

// At the window, after all that may prevent it.
window.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.getAttribute("method") !== "post") return;
  if (sent.has(form)) event.preventDefault();
  sent.add(form);
});

window.addEventListener("pageshow", () => (sent = new WeakSet()));

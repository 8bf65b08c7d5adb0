// htmx requests: they carry the CSRF token, and what goes wrong is said.
import { showToast } from "./toasts.js";

document.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers["x-csrf-token"] = document.querySelector("meta[name=csrf]")?.content ?? "";
});

// The session has ended: sign in, and come back to this page. The server does not know the page behind a fragment.
document.addEventListener("htmx:beforeOnLoad", (event) => {
  if (event.detail.xhr.status !== 401) return;
  event.preventDefault();
  location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
});

// A form that comes back with its faults marked is shown; a bare sentence becomes a toast below.
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (detail.xhr.status !== 422 || sentence(detail.xhr) !== null) return;
  detail.shouldSwap = true;
  detail.isError = false;
});

document.addEventListener("htmx:responseError", ({ detail: { xhr } }) => {
  showToast(sentence(xhr) ?? `The server answered with ${xhr.status}.`, "error");
});

for (const name of ["htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(name, () => showToast("The server does not answer. Try again in a moment.", "error"));
}

/** The text of `<p data-error>` in an answer; null where it holds none. */
function sentence(xhr) {
  // A document made by DOMParser runs no script and loads nothing.
  const answer = new DOMParser().parseFromString(xhr.responseText, "text/html");
  return answer.querySelector("[data-error]")?.textContent.trim() ?? null;
}

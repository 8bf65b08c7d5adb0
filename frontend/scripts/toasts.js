// Toasts: short words at the edge of the page, read out by screen readers. Errors stay until they are closed.
import { wherever } from "./wherever.js";

const STAYS = 8_000; // ms

wherever("[data-toast]", (toast) => {
  if (!toast.matches(".toast-error")) leaveLater(toast, STAYS);
});

document.addEventListener("click", (event) => {
  event.target.closest("[data-dismiss]")?.closest("[data-toast]")?.remove();
});

/** Show `text`; `kind`: "", "error". The same words are not shown twice at once. */
export function showToast(text, kind = "") {
  const toasts = document.getElementById("toasts");
  if (!toasts || [...toasts.querySelectorAll("p")].some((each) => each.textContent === text)) return;
  const toast = document.createElement("div");
  toast.className = kind ? `toast toast-${kind}` : "toast";
  toast.dataset.toast = "";
  const words = document.createElement("p");
  words.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "button button-quiet button-icon button-small";
  close.dataset.dismiss = "";
  close.ariaLabel = "Close";
  close.textContent = "×";
  toast.append(words, close);
  toasts.append(toast);
  if (kind !== "error") leaveLater(toast, STAYS);
}

/** Have `text` read out by screen readers, and not shown. */
export function announce(text) {
  const words = document.createElement("p");
  words.className = "hidden-visually";
  words.textContent = text;
  document.getElementById("toasts")?.append(words);
  setTimeout(() => words.remove(), 2_000);
}

function leaveLater(toast, after) {
  // Whoever reads it, or is about to press something in it, keeps it.
  const leave = () => (toast.matches(":hover, :focus-within") ? setTimeout(leave, after) : toast.remove());
  setTimeout(leave, after);
}

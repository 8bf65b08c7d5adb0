// button[data-copy="#id"]: copies the text of that element, or a field's value, and says so.
import { announce, showToast } from "./toasts.js";

const SAYS_SO = 2_000; // ms

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.querySelector(button.dataset.copy);
  if (!(await copy(source.value ?? source.textContent))) {
    showToast("The browser does not allow copying here. Select the text and copy it yourself.", "error");
    return;
  }
  announce("Copied");
  button.querySelector(".copied")?.remove();
  const said = document.createElement("span");
  said.className = "copied";
  said.ariaHidden = "true";
  said.textContent = "Copied";
  button.append(said);
  setTimeout(() => said.remove(), SAYS_SO);
});

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text); // without TLS there is no clipboard to write to
  }
}

function copyBySelection(text) {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "hidden-visually";
  const focused = document.activeElement;
  // Outside of a modal dialog nothing can be selected.
  (document.querySelector("dialog:modal") ?? document.body).append(area);
  area.select();
  const isCopied = document.execCommand("copy");
  area.remove();
  focused?.focus();
  return isCopied;
}

// Keys that work everywhere: `/` search, `g` and a letter for a page, `?` the list of keys.
//   [data-search]       the field that `/` goes to
//   a[data-go="d"]      the page that `g d` goes to
//   [data-keys]         a button that opens dialog#keys
//   [data-keys-switch]  a checkbox that turns single-key shortcuts off and on
import { areKeysOff, isShortcut } from "./typing.js";
import { wherever } from "./wherever.js";

const PATIENCE = 1_500; // ms between `g` and its letter

let pressedG = -Infinity;

document.addEventListener("keydown", (event) => {
  if (!isShortcut(event)) return;
  const goes = event.timeStamp - pressedG < PATIENCE;
  pressedG = event.key === "g" && !goes ? event.timeStamp : -Infinity;
  if (goes) {
    const link = [...document.querySelectorAll("[data-go]")].find((each) => each.dataset.go === event.key);
    if (link) act(event, () => link.click());
  } else if (event.key === "/") {
    act(event, () => document.querySelector("[data-search]")?.focus());
  } else if (event.key === "?") {
    act(event, showKeys);
  }
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-keys]")) showKeys();
});

wherever("[data-keys-switch]", (box) => {
  box.checked = !areKeysOff();
  box.addEventListener("change", () => localStorage.setItem("keys", box.checked ? "on" : "off"));
});

function showKeys() {
  const keys = document.getElementById("keys");
  if (keys && !keys.open) keys.showModal();
}

function act(event, action) {
  event.preventDefault();
  action();
}

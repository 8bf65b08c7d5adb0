// a[data-drawer]: opens its address in dialog#drawer, beside the list. The drawer has its own address; Escape, Back and
// [data-drawer-close] close it, and the focus returns to where it was. The server answers with the drawer's inside
// where HX-Target is `drawer`; a page that it renders with the drawer filled names the list's address in [data-back].
import htmx from "htmx.org";

import { isTyping } from "./typing.js";
import { wherever } from "./wherever.js";

const PHONE = matchMedia("(max-width: 760px)");

const drawer = () => document.getElementById("drawer");
const here = () => location.pathname + location.search;
let shown = here(); // the address of the page behind the drawer
let opener = null; // the address of the link that opened it
let isPushed = false; // whether Back leads to the list as this page shows it
let isLeaving = false; // whether the next step back is our own

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-drawer]");
  const isPlain = event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
  if (!link || !drawer() || !isPlain || event.defaultPrevented) return;
  event.preventDefault();
  if (!drawer().contains(link)) opener = link.getAttribute("href");
  load(link.pathname + link.search);
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-drawer-close]")) drawer().close();
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.defaultPrevented || !drawer()?.open) return;
  if (document.querySelector("dialog:modal") || event.target.closest("[contenteditable=true]")) return;
  if (isTyping(event.target)) event.target.blur(); // a first Escape leaves the field, the next one closes
  else drawer().close();
});

// It opens, and gets its address, once there is something to show: a failed request leaves all as it was.
document.addEventListener("htmx:afterSwap", ({ target, detail }) => {
  const isLoaded = target === drawer() && detail.requestConfig.elt === target;
  if (!isLoaded) return; // something else has changed, perhaps inside of it
  const address = detail.pathInfo.requestPath;
  if (here() !== address) {
    if (target.open) history.replaceState({ drawer: address }, "", address);
    else history.pushState({ drawer: address }, "", address);
  }
  isPushed ||= !target.open;
  show();
});

for (const name of ["htmx:pushedIntoHistory", "htmx:replacedInHistory", "htmx:historyRestore"]) {
  document.addEventListener(name, () => (shown = here()));
}

// Before htmx sees it, which would load the whole list again. A step to what neither of us shows is a step out of a page
// that was loaded at a drawer's address: the browser takes the list for the same page, and changes the address only.
window.addEventListener("popstate", (event) => {
  if (isLeaving) {
    isLeaving = false;
    event.stopImmediatePropagation();
  } else if (event.state?.drawer && event.state.drawer !== shown) {
    event.stopImmediatePropagation();
    load(event.state.drawer);
  } else if (drawer()?.open) {
    event.stopImmediatePropagation();
    if (!isPushed) location.reload(); // the list behind is not the one that this address names
    isPushed = false;
    drawer().close();
  } else if (!event.state?.htmx && here() !== shown) {
    location.reload();
  }
});

wherever("#drawer", (element) => {
  element.addEventListener("close", () => {
    if (isPushed) {
      isLeaving = true;
      history.back();
    } else if (element.dataset.back) {
      history.replaceState(null, "", element.dataset.back);
    }
    isPushed = false;
    delete element.dataset.back;
    element.replaceChildren();
    findOpener()?.focus();
  });
  if (element.childElementCount > 0) show();
});

function load(address) {
  htmx.ajax("GET", address, { source: "#drawer", target: "#drawer", swap: "innerHTML" });
}

function show() {
  const element = drawer();
  if (!element.open) PHONE.matches ? element.showModal() : element.show();
  const heading = element.querySelector("h1, h2") ?? element;
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}

/** The link that opened the drawer, or the one that stands for it in a list that came new; its row where it has one. */
function findOpener() {
  const link = [...document.querySelectorAll("a[data-drawer]")].find((each) => each.getAttribute("href") === opener);
  return link?.closest("tr[tabindex]") ?? link;
}

// A part of the page that comes anew does not take the keyboard's focus away. htmx gives it back to an element of the same
// id; where there is none, it goes to the first field at fault, or to [data-headline], or to the new part itself.
let place = null; // in which the focus was, and the new part comes

document.addEventListener("htmx:beforeSwap", ({ detail: { target } }) => {
  place = target.contains(document.activeElement) ? target.parentElement : null;
});

// Once it has settled: only then is it known what of it is shown. What comes out of band is elsewhere.
document.addEventListener("htmx:afterSettle", ({ target }) => {
  if (!place?.contains(target) || document.activeElement !== document.body) return;
  const faults = [...target.querySelectorAll("[aria-invalid=true]")];
  const next = faults.find((each) => each.checkVisibility()) ?? target.querySelector("[data-headline]") ?? target;
  if (next.tabIndex < 0) next.tabIndex = -1;
  next.focus({ preventScroll: true });
});

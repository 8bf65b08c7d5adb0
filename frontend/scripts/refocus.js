// A part of the page that comes anew does not take the keyboard's focus away. htmx gives it back to an element of the same
// id; where there is none, it goes to the first field at fault, or to [data-headline], or to the new part itself.
let hadFocus = false;

document.addEventListener("htmx:beforeSwap", ({ detail }) => (hadFocus = detail.target.contains(document.activeElement)));

// Once it has settled: only then is it known what of it is shown.
document.addEventListener("htmx:afterSettle", ({ target }) => {
  if (!hadFocus || document.activeElement !== document.body) return;
  const faults = [...target.querySelectorAll("[aria-invalid=true]")];
  const place = faults.find((each) => each.checkVisibility()) ?? target.querySelector("[data-headline]") ?? target;
  if (place.tabIndex < 0) place.tabIndex = -1;
  place.focus({ preventScroll: true });
});

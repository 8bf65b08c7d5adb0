// [data-answer-to="mode"]: what htmx puts there, perhaps below the window, is gone to; it goes when a field of that name is
// changed, for it was the answer to another question.
document.addEventListener("htmx:afterSettle", ({ detail: { target } }) => {
  if (!target.matches("[data-answer-to]")) return;
  const heading = target.querySelector("h2");
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
  target.scrollIntoView();
});

document.addEventListener("change", ({ target }) => {
  document.querySelector(`[data-answer-to="${CSS.escape(target.name)}"]`)?.replaceChildren();
});

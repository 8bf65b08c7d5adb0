// Sets up elements by their attributes, those of the page and those that htmx brings later.

/**
 * Call `setUp` once for each element that matches `selector`. The scripts are deferred, so the page is there; it is set up
 * as soon as the whole bundle has run, so that `setUp` may use what stands below it in its file.
 */
export function wherever(selector, setUp) {
  const known = new WeakSet();
  const search = (root) => {
    for (const element of [root, ...root.querySelectorAll(selector)]) {
      if (known.has(element) || !element.matches(selector)) continue;
      known.add(element);
      setUp(element);
    }
  };
  queueMicrotask(() => search(document.documentElement));
  document.addEventListener("htmx:load", (event) => search(event.detail.elt));
}

/** Call `end` when htmx takes `element` off the page. */
export function whenRemoved(element, end) {
  element.addEventListener("htmx:beforeCleanupElement", (event) => {
    if (event.target === element) end();
  });
}

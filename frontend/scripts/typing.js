// Whether a key belongs to what the viewer is doing, and so is no shortcut.

const NOT_TEXT = "[type=checkbox], [type=radio], [type=button], [type=submit]";

/** Whether `element` takes text: a field, or an editor. */
export function isTyping(element) {
  if (!(element instanceof Element)) return false;
  if (element.closest("textarea, select, [contenteditable=true]")) return true;
  return element.matches("input") && !element.matches(NOT_TEXT);
}

/** Whether the viewer has turned single-key shortcuts off (WCAG 2.1.4), in dialog#keys. */
export const areKeysOff = () => localStorage.getItem("keys") === "off";

/** Whether `event` may be a shortcut: no modifier, not typed into something, nothing modal in front. */
export function isShortcut(event) {
  if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return false;
  return !areKeysOff() && !isTyping(event.target) && !document.querySelector("dialog:modal");
}

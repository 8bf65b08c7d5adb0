// A form that comes back with a field at fault: the focus goes there, and so the page, which would stand at its top.
import { wherever } from "./wherever.js";

wherever("form:has([aria-invalid=true])", (form) => {
  const go = () => {
    const field = [...form.querySelectorAll("[aria-invalid=true]")].find((each) => each.checkVisibility());
    field?.focus({ preventScroll: true });
    field?.closest(".field")?.scrollIntoView({ block: "center" }); // with the words below it
  };
  if (document.readyState === "complete") go();
  else addEventListener("load", go); // before that the browser itself goes to the #place of the address
});

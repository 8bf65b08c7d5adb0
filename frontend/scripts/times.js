// <time datetime="…" data-as="time|ago|day">: in the viewer's zone, the exact moment on hover. Until then stands UTC.
import { ago, day, exact, time } from "./moments.js";
import { wherever } from "./wherever.js";

const REFRESH = 30_000; // ms

wherever("time[data-as]", (element) => {
  if (Number.isNaN(Date.parse(element.dateTime))) return;
  write(element);
  element.title = exact(new Date(element.dateTime));
});

// Only those that have a title were understood.
setInterval(() => document.querySelectorAll("time[data-as=ago][title]").forEach(write), REFRESH);

function write(element) {
  const as = { ago, day, time }[element.dataset.as];
  element.textContent = as(new Date(element.dateTime), new Date());
}

// [data-stages]: the stages of a test, rendered as they ended, light up one after another.
//   [data-stage="filter"][data-ms="0.4"]    a stage and how long it took; [data-waiting] stands on it until its turn
import { wherever } from "./wherever.js";

const ALL = 1_500; // ms for all stages together
const LEAST = 90; // ms for one, so that it can be seen

wherever("[data-stages]", (element) => {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  const stages = [...element.querySelectorAll("[data-stage]")];
  const took = stages.map((stage) => Number(stage.dataset.ms) || 0);
  const total = took.reduce((sum, each) => sum + each, 0) || 1;
  const free = ALL - LEAST * stages.length;
  let due = 0;
  stages.forEach((stage, index) => {
    due += LEAST + free * Math.min(1, total / free) * (took[index] / total);
    stage.dataset.waiting = "";
    setTimeout(() => delete stage.dataset.waiting, due);
  });
});

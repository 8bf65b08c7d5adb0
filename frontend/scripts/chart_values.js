// Numbers of charts: stacking, units, and the labels of moments.
import { clock, day } from "./moments.js";

const HOUR = 3_600; // seconds

/** The series of a stack, each on top of those before it; nothing counts as zero. */
export function stacked(series) {
  const sums = [];
  return series.map((values) => values.map((value, index) => (sums[index] = (sums[index] ?? 0) + (value ?? 0))));
}

/** A number with its unit: `ms` is 120 ms or 1.2 s, any other stands behind the number as it is: 2.5/s. */
export function written(value, unit = "") {
  if (value === null || value === undefined) return "–";
  if (unit.trim() !== "ms") return `${number(value)}${unit}`;
  return value >= 1000 ? `${number(value / 1000)}\u202fs` : `${number(value)}\u202fms`;
}

/** The labels of an axis: with as many digits as it takes to tell its steps apart. */
export function axisLabels(values, unit = "") {
  const labels = values.map((value) => written(value, unit));
  if (new Set(labels).size === labels.length) return labels;
  const step = Math.min(...values.slice(1).map((value, index) => value - values[index]));
  const digits = Math.min(8, Math.ceil(-Math.log10(step)) + 1);
  return values.map((value) => `${Number(value.toFixed(digits))}${unit}`);
}

function number(value) {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  const [whole, part] = String(Number(value.toFixed(digits))).split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, "\u202f");
  return part ? `${grouped}.${part}` : grouped;
}

/** The labels of an axis of moments (unix seconds): the clock, and the day where one begins or only days are shown. */
export function momentLabels(moments) {
  const onlyDays = moments.length > 1 && moments[1] - moments[0] >= 24 * HOUR;
  return moments.map((seconds) => {
    const date = new Date(seconds * 1000);
    const isMidnight = date.getHours() === 0 && date.getMinutes() === 0;
    return onlyDays || isMidnight ? day(date) : clock(date);
  });
}

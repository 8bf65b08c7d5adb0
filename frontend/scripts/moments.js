// How moments are written, in the zone of the viewer.

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const UNITS = [
  ["d", 86_400],
  ["h", 3_600],
  ["m", 60],
];

/** `12 May` */
export const day = (date) => `${date.getDate()} ${MONTHS[date.getMonth()]}`;

/** `10:30`, or `10:30:02` with seconds. */
export function clock(date, hasSeconds = false) {
  const parts = [date.getHours(), date.getMinutes(), ...(hasSeconds ? [date.getSeconds()] : [])];
  return parts.map((part) => String(part).padStart(2, "0")).join(":");
}

/** `12 May, 10:30:02`: as words.py writes it, so that the text keeps its width. */
export const time = (date) => `${day(date)}, ${clock(date, true)}`;

/** `3 m ago`, `in 2 h`; nothing finer than a minute, because it is not written again each second. */
export function ago(date, now) {
  const seconds = (now - date) / 1000;
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? [];
  if (!unit) return seconds >= 0 ? "just now" : "in under 1\u202fm";
  const amount = `${Math.floor(Math.abs(seconds) / size)}\u202f${unit}`;
  return seconds >= 0 ? `${amount} ago` : `in ${amount}`;
}

/** The exact moment, in UTC and in the viewer's zone. */
export function exact(date) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return `${date.toISOString()} · ${day(date)} ${date.getFullYear()}, ${clock(date, true)} ${zone}`;
}

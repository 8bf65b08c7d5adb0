// [data-chart][data-chart-source="id"]: a chart of lines or of stacked bars, as high as styles say, from the JSON that
// the element of that id holds (htmx drops script elements: what it brings holds the JSON in another hidden element).
//   times     unix seconds, ascending; of a stack, where each interval begins
//   series    [{"label": "delivered", "color": "--delivered", "values": [1, null, …]}]; `color` is a token's name;
//             "isDashed": true for a line that often lies on another
//   unit      "ms", or what stands behind a number: "/s", ""
//   stacked   true for stacked bars
// The caption of the figure around it is its name. The same numbers stand in a table that the server renders.
import uPlot from "uplot";

import { axisLabels, momentLabels, stacked, written } from "./chart_values.js";
import { day, clock } from "./moments.js";
import { whenRemoved, wherever } from "./wherever.js";

const OUTSIDE = { left: -10, top: -10 };

wherever("[data-chart]", (element) => {
  const given = JSON.parse(document.getElementById(element.dataset.chartSource).textContent);
  if (given.times.length === 0) return;
  const plot = make("div", "chart-plot");
  const legend = new Legend(given);
  element.append(plot, legend.element);
  plot.tabIndex = 0;
  plot.setAttribute("role", "group");
  const name = element.closest("figure")?.querySelector("figcaption")?.textContent.trim() ?? "Chart";
  plot.ariaLabel = `${name}: the arrow keys show the values; the table that follows has them all`;

  const chart = new uPlot(chartOptions(given, plot, legend), chartData(given), plot);
  const sized = new ResizeObserver(() => chart.setSize(sizeOf(plot)));
  sized.observe(plot);
  const repaint = () => chart.redraw(true);
  document.addEventListener("theme", repaint);
  listenToKeys(chart, plot, legend, given.times);
  whenRemoved(element, () => {
    sized.disconnect();
    document.removeEventListener("theme", repaint);
    chart.destroy();
  });
});

function chartOptions(given, plot, legend) {
  const font = `12px ${getComputedStyle(plot).fontFamily}`;
  const axis = { stroke: () => token("--muted"), font, ticks: { show: false } };
  const grid = { stroke: () => token("--chart-grid"), width: 1 };
  return {
    ...sizeOf(plot),
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, sync: { key: "console" }, y: false },
    scales: { y: { range: (_, __, most) => [0, most > 0 ? most * 1.05 : 1] }, x: { range: rangeOf(given) } },
    axes: [
      { ...axis, grid: { show: false }, size: 28, values: (_, moments) => momentLabels(moments) },
      { ...axis, grid, size: 60, values: (_, values) => axisLabels(values, given.unit) },
    ],
    series: [{}, ...given.series.map((series) => seriesOptions(series, given.stacked))],
    // A stack is painted from its top down, so that each bar covers what is below its own.
    drawOrder: ["axes", "series"],
    hooks: { setCursor: [(chart) => legend.show(chart.cursor.idx)] },
  };
}

function seriesOptions({ color, isDashed }, isStacked) {
  const dash = isDashed ? [6, 4] : undefined; // where two lines are one, both colours show
  if (!isStacked) return { stroke: () => token(color), width: 1.75, dash, points: { show: true, size: 5, filter: alone } };
  const paths = uPlot.paths.bars({ size: [0.8, 48], align: 1 });
  return { fill: () => token(color), width: 0, points: { show: false }, paths };
}

/** The values with nothing on either side, which no line would show. */
function alone(chart, series) {
  const values = chart.data[series];
  const isGap = (index) => values[index] === null || values[index] === undefined;
  return values.flatMap((_, index) => (!isGap(index) && isGap(index - 1) && isGap(index + 1) ? [index] : []));
}

function chartData({ stacked: isStacked, times, series }) {
  const values = series.map((each) => each.values);
  return [times, ...(isStacked ? stacked(values.toReversed()).toReversed() : values)];
}

/** From the first moment to the last; a stack's last bar needs its interval. */
function rangeOf({ stacked: isStacked, times }) {
  const first = times[0];
  const last = times.at(-1);
  const interval = times.length > 1 ? times[1] - first : 60;
  return () => [first, isStacked || last === first ? last + interval : last];
}

function listenToKeys(chart, plot, legend, times) {
  plot.addEventListener("keydown", (event) => {
    const at = chart.cursor.idx ?? times.length;
    const next = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: times.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const index = Math.max(0, Math.min(times.length - 1, next));
    legend.element.ariaLive = "polite"; // only keys have the values read out
    chart.setCursor({ left: chart.valToPos(times[index], "x"), top: 0 }, true, true); // the charts beside it follow
  });
  plot.addEventListener("blur", () => {
    legend.element.ariaLive = "off";
    chart.setCursor(OUTSIDE, true, true);
  });
}

/** The names of the series with their colours; with the values of the moment that is pointed at. */
class Legend {
  constructor({ series, times, unit }) {
    Object.assign(this, { series, times, unit });
    this.element = make("div", "chart-legend");
    this.moment = make("span", "chart-moment");
    this.values = series.map(({ label, color }) => {
      const item = make("span", "chart-name");
      const swatch = make("span", "chart-swatch");
      swatch.style.background = `var(${color})`;
      const value = make("span", "chart-value");
      item.append(swatch, label, value);
      this.element.append(item);
      return value;
    });
    this.element.append(this.moment);
  }

  show(index) {
    const isPointed = index !== null && index !== undefined;
    const date = isPointed && new Date(this.times[index] * 1000);
    this.moment.textContent = date ? `${day(date)}, ${clock(date)}` : "";
    this.values.forEach((value, at) => {
      value.textContent = isPointed ? written(this.series[at].values[index], this.unit) : "";
    });
  }
}

/** A colour of tokens.css as it is now, for painting. */
const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);

const sizeOf = (plot) => ({ width: plot.clientWidth, height: plot.clientHeight });

function make(tag, className) {
  const element = document.createElement(tag);
  element.className = className;
  return element;
}

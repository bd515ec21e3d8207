// Bars over time, drawn as SVG in the size that there is. Every figure is also in the table below, and can be walked through
// with the arrow keys.

import { drawing, element } from "./dom.js";
import { axisMoney, calendarDate, count, digitsOf, minorUnits, money, periodName } from "./format.js";

const HEIGHT = 248;
const MARGIN = { top: 12, right: 4, bottom: 28 };
/** Pixels that a date below the axis takes. */
const LABEL_WIDTH = 62;

/**
 * A chart of `points` (`{date, value, parts}`; `value` in minor units as a Number is for drawing alone, `text` is what is
 * said). `axis(value)` names a tick.
 */
export function barChart({ title, points, interval, axis, columns }) {
  const tip = element("div", { class: "chart-tip", hidden: true });
  const canvas = element("div", { class: "chart-canvas" });
  const live = element("p", { class: "visually-hidden", role: "status", "aria-live": "polite" });
  const frame = element("div", {
    class: "chart", tabindex: "0", role: "group", "aria-label": `${title}. Use the arrow keys to walk through the figures.`,
  }, canvas, tip, live);
  const state = { active: -1, bars: [] };
  const show = (index, isSpoken) => {
    state.bars[state.active]?.classList.remove("active");
    state.active = index;
    tip.hidden = index < 0;
    if (index < 0) return;
    state.bars[index]?.classList.add("active");
    const point = points[index];
    const name = periodName(point.date, interval);
    tip.replaceChildren(element("strong", {}, point.text), element("span", {}, name), ...point.parts.map((part) => element("span", { class: "note" }, part)));
    placeTip(tip, canvas, state.bars[index]);
    if (isSpoken) live.textContent = [name, point.text, ...point.parts].join(", ");
  };
  frame.addEventListener("keydown", (event) => {
    const last = points.length - 1;
    const steps = { ArrowRight: state.active + 1, ArrowLeft: state.active < 0 ? last : state.active - 1, Home: 0, End: last };
    if (event.key === "Escape") show(-1);
    if (!(event.key in steps)) return;
    event.preventDefault();
    show(Math.min(last, Math.max(0, steps[event.key])), true);
  });
  frame.addEventListener("blur", () => show(-1));
  frame.addEventListener("pointerleave", () => show(-1));
  const redraw = (width) => { show(-1); draw({ canvas, width, points, interval, axis, state, show }); };
  new ResizeObserver(([entry]) => redraw(Math.round(entry.contentRect.width))).observe(canvas);
  return element("figure", { class: "chart-figure" }, frame, alternative({ title, points, interval, columns }));
}

/** The points of a money time series of the API, ready to be drawn. */
export function moneyPoints(series) {
  return series.data.map((point) => ({
    date: point.date,
    value: Number(minorUnits(point.earned)),
    text: money(point.earned),
    parts: minorUnits(point.reversed) === 0n && minorUnits(point.adjusted) === 0n ? [] : [
      `Commissions ${money(point.commissions)}`,
      `Reversed ${money(point.reversed)}`,
      `Adjusted ${money(point.adjusted, { signed: true })}`,
    ],
    cells: [money(point.commissions), money(point.reversed), money(point.adjusted), money(point.earned)],
  }));
}

/** The axis of a money time series. */
export function moneyAxis(series) {
  const sample = series.data[0]?.earned;
  return (value) => (sample ? axisMoney(value, digitsOf(sample), sample.currency) : "");
}

/** The axis of plain counts: no tick between whole numbers. */
export const countAxis = (value) => (Number.isInteger(value) ? count(value) : "");

function alternative({ title, points, interval, columns }) {
  const rows = points.map((point) => element("tr", {},
    element("th", { scope: "row" }, periodName(point.date, interval)), point.cells.map((cell) => element("td", { class: "number" }, cell))));
  return element("details", { class: "chart-table" }, element("summary", {}, "Show as a table"),
    element("div", { class: "table-wrap plain" }, element("table", {},
      element("caption", { class: "visually-hidden" }, title),
      element("thead", {}, element("tr", {}, ["Period", ...columns].map((name, index) =>
        element("th", { scope: "col", class: index ? "number" : null }, name)))),
      element("tbody", {}, rows.reverse()))));
}

function draw({ canvas, width, points, interval, axis, state, show }) {
  if (width <= 0) return;
  const values = points.map((point) => point.value);
  const { low, high, step } = scale(Math.min(0, ...values), Math.max(0, ...values));
  const names = ticks(low, high, step).map((value) => ({ value, name: axis(value) })).filter(({ name }) => name !== "");
  const left = 12 + Math.max(...names.map(({ name }) => name.length)) * 6.6;
  const inner = { left, width: width - left - MARGIN.right, height: HEIGHT - MARGIN.top - MARGIN.bottom };
  const y = (value) => MARGIN.top + inner.height * (1 - (value - low) / (high - low || 1));
  const slot = inner.width / Math.max(1, points.length);
  const svg = drawing("svg", { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, "aria-hidden": "true", focusable: "false" });
  for (const { value, name } of names) {
    svg.append(
      drawing("line", { class: value === 0 ? "axis-line" : "grid-line", x1: left, x2: width - MARGIN.right, y1: y(value), y2: y(value) }),
      drawing("text", { class: "axis-text", x: left - 8, y: y(value) + 4, "text-anchor": "end" }, name));
  }
  state.bars = points.map((point, index) => {
    const group = bar({ point, x: left + index * slot, slot, y });
    group.addEventListener("pointerenter", () => show(index));
    svg.append(group);
    return group;
  });
  svg.append(...dateLabels(points, interval, left, slot, width));
  canvas.replaceChildren(svg);
}

function bar({ point, x, slot, y }) {
  const gap = Math.min(slot * 0.28, 10);
  const wide = Math.max(1, Math.min(slot - gap, 44));
  const [top, bottom] = [Math.min(y(point.value), y(0)), Math.max(y(point.value), y(0))];
  const height = point.value === 0 ? 0 : Math.max(2, bottom - top);
  const shape = { x: x + (slot - wide) / 2, y: point.value < 0 ? top : bottom - height, width: wide, height };
  return drawing("g", { class: point.value < 0 ? "bar negative" : "bar" },
    drawing("rect", { class: "bar-area", x, y: MARGIN.top, width: slot, height: HEIGHT - MARGIN.top - MARGIN.bottom }),
    drawing("rect", { class: "bar-shape", rx: Math.min(3, wide / 4), ...shape }));
}

/** As many dates as fit, always with the newest. */
function dateLabels(points, interval, left, slot, width) {
  const every = Math.max(1, Math.ceil(LABEL_WIDTH / slot));
  const last = points.length - 1;
  return points.flatMap((point, index) => {
    if ((last - index) % every !== 0) return [];
    const middle = left + (index + 0.5) * slot;
    const isLastAtEdge = width - middle < LABEL_WIDTH / 2;
    const isFirstAtEdge = middle - LABEL_WIDTH / 2 < left - 40;
    if (isFirstAtEdge) return [];
    const anchor = isLastAtEdge ? { x: width, "text-anchor": "end" } : { x: middle, "text-anchor": "middle" };
    return [drawing("text", { class: "axis-text", y: HEIGHT - 8, ...anchor }, calendarDate(point.date, interval))];
  });
}

/** Round bounds and steps around the values: about four steps of 1, 2, 2.5 or 5 times a power of ten. */
function scale(lowest, highest) {
  const span = highest - lowest || 1;
  const power = 10 ** Math.floor(Math.log10(span / 4));
  const step = [1, 2, 2.5, 5, 10].map((times) => times * power).find((size) => span / size <= 4.5);
  return { low: Math.floor(lowest / step) * step, high: Math.ceil(highest / step) * step || step, step };
}

function ticks(low, high, step) {
  return Array.from({ length: Math.round((high - low) / step) + 1 }, (_, index) => low + index * step);
}

function placeTip(tip, canvas, group) {
  const frame = canvas.getBoundingClientRect();
  const shape = group.querySelector(".bar-shape").getBoundingClientRect();
  const half = tip.offsetWidth / 2;
  const middle = shape.left + shape.width / 2 - frame.left;
  tip.style.left = `${Math.min(frame.width - half, Math.max(half, middle))}px`;
  tip.style.top = `${Math.max(tip.offsetHeight + 8, shape.top - frame.top) - 8}px`;
}

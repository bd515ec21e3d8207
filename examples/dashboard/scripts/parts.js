// The parts that all screens are made of: regions that load, problems, tables, pages, choices, drawers.

import { ApiProblem } from "./api.js";
import { announce, element, icon } from "./dom.js";
import { sentence, words } from "./format.js";

/**
 * A region that shows what `fetcher(signal)` answers: a skeleton first, then `render(answer)`, or the problem with a retry.
 * The returned element has `reload()`. `signal` ends it with its screen.
 */
export function region({ signal, fetcher, render, skeleton = 4, label }) {
  const node = element("div", { class: "region", "aria-label": label, role: label ? "group" : null });
  let running = null;
  node.reload = async () => {
    running?.abort();
    const own = (running = new AbortController());
    const stop = () => own.abort();
    signal.addEventListener("abort", stop, { once: true });
    node.setAttribute("aria-busy", "true");
    // What is shown already stays, dimmed, so that the page does not jump.
    if (!node.firstElementChild || node.querySelector(".problem")) node.replaceChildren(skeletonOf(skeleton));
    try {
      const answer = await fetcher(own.signal);
      if (!own.signal.aborted) node.replaceChildren(...[render(answer)].flat());
    } catch (problem) {
      if (own.signal.aborted) return;
      if (!(problem instanceof ApiProblem)) console.error(problem);
      node.replaceChildren(problemPanel(problem, node.reload, own.signal));
    } finally {
      signal.removeEventListener("abort", stop);
      if (running === own) node.removeAttribute("aria-busy");
    }
  };
  node.reload();
  return node;
}

function skeletonOf(lines) {
  const bars = Array.from({ length: lines }, () => element("span", { class: "skeleton-line" }));
  return element("div", { class: "skeleton" }, element("span", { class: "visually-hidden" }, "Loading"), bars);
}

/** A problem as the API tells it, with a button that tries again; after 429, by itself once the time is over. */
export function problemPanel(problem, retry, signal) {
  const known = problem instanceof ApiProblem;
  const title = known ? problem.title : "Something went wrong on this page";
  const detail = known ? problem.detail : String(problem?.message ?? problem);
  announce(`${title}. ${detail}`);
  const button = retry && element("button", { type: "button", class: "button", onclick: () => retry() }, "Try again");
  const panel = element("div", { class: "problem", role: "alert" },
    icon("warning"),
    element("div", { class: "problem-text" },
      element("p", { class: "problem-title" }, title),
      detail && detail !== title && element("p", { class: "problem-detail" }, sentence(detail)),
      known && problem.errors.length > 1 && element("ul", {}, problem.errors.map(violation)),
      known && problem.requestId && element("p", { class: "problem-id" }, "Request ", element("code", {}, problem.requestId))),
    button);
  if (known && problem.retryAfter && button) waitBefore(button, problem.retryAfter, retry, signal);
  return panel;
}

function violation({ pointer, parameter, detail }) {
  return element("li", {}, `${pointer ?? parameter ?? ""} ${detail}`.trim());
}

/** Honours `Retry-After`: nothing can be sent before, and then it is. */
function waitBefore(button, seconds, retry, signal) {
  let left = seconds;
  button.disabled = true;
  const show = () => { button.textContent = `Trying again in ${left} s`; };
  show();
  const timer = setInterval(() => {
    left -= 1;
    if (signal?.aborted || !button.isConnected) return clearInterval(timer);
    if (left > 0) return show();
    clearInterval(timer);
    button.disabled = false;
    button.textContent = "Try again";
    return retry();
  }, 1_000);
}

/** What stands where there is nothing. */
export function emptyState(title, text, action) {
  return element("div", { class: "empty" }, element("p", { class: "empty-title" }, title), element("p", {}, text), action);
}

/** A card with a heading. */
export function card({ title, note, actions, wide = false, level = 2 }, ...content) {
  return element("section", { class: wide ? "card card-wide" : "card" },
    title && element("header", { class: "card-head" },
      element("div", {}, element(`h${level}`, {}, title), note && element("p", { class: "note" }, note)),
      actions && element("div", { class: "card-actions" }, actions)),
    content);
}

/** A status with a dot of its tone. */
export function status(value) {
  return element("span", { class: "status", dataset: { tone: TONES[value] ?? "quiet" } }, words(value));
}

const TONES = {
  inReview: "wait", requested: "wait", readyToPayout: "good", approved: "good", inPayout: "busy", processing: "busy",
  paid: "done", rejected: "bad", failed: "bad", reversed: "bad",
};

/**
 * A table that becomes a list of cards on small screens. `columns`: `{name, cell(row), number?, main?, extra?}`; `extra` ones,
 * and cells that are null, are left out there. `open(row)` makes rows open something, with a button in their main cell.
 */
export function table({ caption, columns, rows, open, openLabel }) {
  const head = element("tr", {}, columns.map((column) =>
    element("th", { scope: "col", class: column.number ? "number" : null }, column.name)));
  const body = rows.map((row) => {
    const cells = columns.map((column) => {
      const content = column.cell(row);
      const classes = [column.number && "number", column.main && "main", (column.extra || content === null) && "extra"];
      return element(column.main ? "th" : "td", {
        scope: column.main ? "row" : null, class: classes.filter(Boolean).join(" ") || null, dataset: { label: column.name },
      }, column.main && open ? element("button", { type: "button", class: "row-button", "aria-label": openLabel(row) }, content) : content);
    });
    const opens = open ? { class: "clickable", onclick: (event) => { if (!getSelection()?.toString() && !event.target.closest("a")) open(row, event.currentTarget); } } : {};
    return element("tr", opens, cells);
  });
  return element("div", { class: "table-wrap" },
    element("table", {}, element("caption", { class: "visually-hidden" }, caption), element("thead", {}, head), element("tbody", {}, body)));
}

/**
 * A list that is read page by page with the API's cursors. `fetchPage(cursor, signal)` answers a list; `render(rows)` shows it;
 * `empty()` what stands where nothing is found. The returned element has `restart()`, for other filters.
 */
export function pagedList({ signal, label, fetchPage, render, empty, skeleton = 8 }) {
  // The cursors of the pages before the next one; the first page has none.
  let cursors = [null];
  const node = region({
    signal, label, skeleton,
    fetcher: (own) => fetchPage(cursors.at(-1), own),
    render: (answer) => {
      if (answer.data.length === 0 && cursors.length === 1) return empty();
      return [render(answer.data), pager(answer)];
    },
  });
  const turn = (change) => { cursors = change; node.reload(); node.scrollIntoView({ block: "nearest" }); };
  const pager = (answer) => {
    if (cursors.length === 1 && !answer.hasMore) return element("p", { class: "pager note" }, countOf(answer.data.length));
    return element("nav", { class: "pager", "aria-label": `Pages of ${label}` },
      element("button", { type: "button", class: "button", disabled: cursors.length === 1, onclick: () => turn(cursors.slice(0, -1)) }, "Previous"),
      element("span", { class: "note" }, `Page ${cursors.length}`),
      element("button", { type: "button", class: "button", disabled: !answer.hasMore, onclick: () => turn([...cursors, answer.nextCursor]) }, "Next"));
  };
  node.restart = () => { cursors = [null]; return node.reload(); };
  return node;
}

const countOf = (rows) => (rows === 1 ? "1 entry" : `${rows} entries`);

/** Buttons of which exactly one is chosen. `options`: `[value, text]`. */
export function choice({ label, options, value, onchange }) {
  const buttons = options.map(([option, text]) => element("button", {
    type: "button", "aria-pressed": String(option === value), dataset: { value: option },
    onclick: () => {
      buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.value === option)));
      onchange(option);
    },
  }, text));
  return element("div", { class: "choice", role: "group", "aria-label": label }, buttons);
}

/** A filter that is on or off. */
export function chip(text, isOn, onchange) {
  const button = element("button", {
    type: "button", class: "chip", "aria-pressed": String(isOn),
    onclick: () => {
      const next = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(next));
      onchange(next);
    },
  }, text);
  return button;
}

/** A panel at the side that keeps the focus until it is closed; Escape closes it. `fill(body, close, signal)` furnishes it. */
export function drawer(title, fill) {
  return modal("drawer", title, fill);
}

/** A question in the middle of the page, in the same way. */
export function question(title, fill) {
  return modal("question", title, fill);
}

let modals = 0;

function modal(kind, title, fill) {
  modals += 1;
  const id = `modal-title-${modals}`;
  const life = new AbortController();
  const back = document.activeElement;
  const heading = element("h2", { id }, title);
  const body = element("div", { class: "modal-body" });
  const close = () => dialog.close();
  const dialog = element("dialog", {
    class: kind, "aria-labelledby": id,
    onclick: (event) => { if (event.target === dialog) close(); },
    onclose: () => { life.abort(); dialog.remove(); if (back?.isConnected) back.focus(); },
  }, element("header", { class: "modal-head" }, heading,
    element("button", { type: "button", class: "icon-button", "aria-label": "Close", onclick: close }, icon("close"))), body);
  document.body.append(dialog);
  dialog.showModal();
  fill(body, close, life.signal);
  return dialog;
}

/** Pairs of a term and what it is. */
export function facts(pairs) {
  return element("dl", { class: "facts" }, pairs.filter(Boolean).map(([term, value]) =>
    element("div", {}, element("dt", {}, term), element("dd", {}, value ?? "–"))));
}

/** A button that copies a text. */
export function copyButton(text, label) {
  const shown = element("span", {}, "Copy");
  return element("button", {
    type: "button", class: "button", "aria-label": label,
    onclick: async () => {
      const isCopied = await copy(text);
      shown.textContent = isCopied ? "Copied" : "Press Ctrl+C";
      announce(isCopied ? "Copied" : "Select the text and copy it");
      setTimeout(() => { shown.textContent = "Copy"; }, 2_000);
    },
  }, icon("copy"), shown);
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** A button that fetches a file and hands it to the user. Its failure is shown in `place`. */
export function downloadButton({ text, name, fetcher, place }) {
  const button = element("button", { type: "button", class: "button" }, icon("download"), text);
  const run = async () => {
    button.disabled = true;
    place.replaceChildren();
    try {
      const url = URL.createObjectURL(await fetcher());
      element("a", { href: url, download: name() }).click();
      setTimeout(() => URL.revokeObjectURL(url), 10_000);
      announce(`${name()} is ready`);
    } catch (problem) {
      place.replaceChildren(problemPanel(problem, run));
    } finally {
      button.disabled = false;
    }
  };
  button.addEventListener("click", run);
  return button;
}

/** Screen heading. */
export function screenHead(title, note, ...actions) {
  return element("header", { class: "screen-head" },
    element("div", {}, element("h1", { tabindex: "-1" }, title), note && element("p", { class: "note" }, note)),
    actions.length > 0 && element("div", { class: "screen-actions" }, actions));
}

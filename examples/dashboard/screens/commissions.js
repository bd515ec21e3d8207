// The commissions: filters, pages, the explanation of each, and the file.

import { element } from "../scripts/dom.js";
import { dateTime, day, isZero, money, percent, words } from "../scripts/format.js";
import { card, chip, downloadButton, drawer, emptyState, facts, pagedList, region, screenHead, status, table } from "../scripts/parts.js";

const PAGE = 25;
const STATUSES = ["inReview", "readyToPayout", "inPayout", "paid", "reversed", "noCommission"];

export function commissionsScreen({ api, query, signal }) {
  const chosen = new Set((query.get("status") ?? "").split(",").filter((one) => STATUSES.includes(one)));
  const range = { occurredAfter: null, occurredBefore: null };
  const filter = () => ({ status: STATUSES.filter((one) => chosen.has(one)), ...range });
  const list = pagedList({
    signal, label: "Commissions", skeleton: 10,
    fetchPage: (cursor, own) => api.get("/v3/commissions", { ...filter(), limit: PAGE, cursor }, own),
    render: (rows) => commissionsTable(rows, (row) => openCommission(api, row)),
    empty: () => chosen.size > 0 || range.occurredAfter || range.occurredBefore
      ? emptyState("Nothing fits", "No commission has this status in this time.")
      : emptyState("No commissions yet", "They arise when your clients pay for their containers."),
  });
  const chips = STATUSES.map((one) => chip(words(one), chosen.has(one), (isOn) => {
    if (isOn) chosen.add(one);
    else chosen.delete(one);
    list.restart();
  }));
  const place = element("div", {});
  return [
    screenHead("Commissions", "What your clients' payments earned, and what became of it",
      downloadButton({ text: "CSV", name: () => "commissions.csv", fetcher: () => api.getBlob("/v3/commissions/export", filter()), place })),
    element("div", { class: "stack" },
      element("div", { class: "toolbar" },
        element("div", { class: "chips", role: "group", "aria-label": "Status" }, chips),
        element("div", { class: "dates" }, dateField("Paid from", "occurredAfter", range, list, 0), dateField("until", "occurredBefore", range, list, 1))),
      place, card({}, list)),
  ];
}

/** A day of the browser's time zone as the moment at which it begins; `daysLater` makes the last day part of the range. */
function dateField(label, name, range, list, daysLater) {
  const input = element("input", {
    type: "date",
    onchange: () => {
      const [year, month, date] = input.value.split("-").map(Number);
      range[name] = input.value ? new Date(year, month - 1, date + daysLater).toISOString() : null;
      list.restart();
    },
  });
  return element("label", {}, element("span", {}, label), input);
}

function commissionsTable(rows, open) {
  return table({
    caption: "Commissions", rows, open,
    openLabel: (row) => `${subject(row)}, ${money(row.net)}: explain`,
    columns: [
      { name: "Client", main: true, cell: (row) => element("span", { class: "person" }, element("strong", {}, subject(row)), element("span", { class: "note" }, about(row))) },
      { name: "Paid on", cell: (row) => day(row.payment && row.kind === "commission" ? row.payment.occurredAt : row.createdAt) },
      { name: "Base", number: true, extra: true, cell: (row) => (row.base ? money(row.base) : "–") },
      { name: "Rate", number: true, extra: true, cell: (row) => (row.ratePercent ? percent(row.ratePercent) : "–") },
      { name: "Commission", number: true, cell: net },
      { name: "Status", cell: (row) => status(row.status) },
      { name: "Ready", cell: (row) => day(row.readyAt ?? row.reviewUntil) },
    ],
  });
}

const subject = (row) => row.subAccount?.name ?? words(row.kind);

function about(row) {
  if (row.kind === "adjustment") return `Adjustment · ${words(row.reason)}`;
  return row.container ? `${row.container.name} · ${words(row.container.plan)}` : "–";
}

function net(row) {
  return element("span", { class: "sums" }, element("strong", {}, money(row.net)),
    !isZero(row.reversed) && element("span", { class: "note" }, `${money(row.reversed)} taken back`));
}

function openCommission(api, row) {
  drawer(subject(row), (body, _close, signal) => {
    body.append(
      element("p", { class: "headline" }, element("strong", {}, money(row.net)), status(row.status)),
      region({
        signal, skeleton: 8, label: "Explanation",
        fetcher: (own) => api.get(`/v3/commissions/${row.id}/explanation`, {}, own),
        render: (explanation) => explained(row, explanation),
      }));
  });
}

function explained(row, { reason, rule, base, unrounded, rounding, amount, review, postings }) {
  return [
    reason && element("p", { class: "message" }, words(reason)),
    base && rule && element("p", { class: "sum" }, `${money(base)} × ${percent(rule.ratePercent)} = `, element("strong", {}, money(amount)),
      isRounded(unrounded, amount) && element("span", { class: "note" }, `${unrounded} before rounding, ${words(rounding)}`)),
    facts([
      row.container && ["Container", `${row.container.name} (${words(row.container.product)}, ${words(row.container.plan)})`],
      row.payment && ["Payment", `${money(row.payment.amount)} on ${dateTime(row.payment.occurredAt)}, ${words(row.payment.billingPeriod).toLowerCase()}`],
      base && ["Without tax", money(base)],
      rule && ["Rate", `${percent(rule.ratePercent)}: ${words(rule.source)}, level ${rule.level}, program version ${rule.programVersion}`],
      !isZero(row.reversed) && ["Taken back", money(row.reversed)],
      review && ["Review", `${review.days} days, until ${dateTime(review.until)}`],
      row.payoutId && ["Payout", element("a", { href: `#/payouts?open=${row.payoutId}` }, "Show the payout")],
      ["Id", element("code", {}, row.id)],
    ]),
    element("h3", {}, "What happened to it"),
    postings.length === 0 ? element("p", { class: "note" }, "No money has moved.") : timeline(postings),
  ].filter(Boolean);
}

/** Whether rounding changed anything: `8` and `8.00` are the same. */
function isRounded(unrounded, amount) {
  const bare = (decimal) => (decimal.includes(".") ? decimal.replace(/\.?0+$/, "") : decimal);
  return unrounded !== null && bare(unrounded) !== bare(amount.amount);
}

/** A movement has two sides; the one that is not the program's is the partner's. */
function timeline(postings) {
  return element("ol", { class: "timeline" }, postings.filter((posting) => posting.account !== "program" && !isOutgoing(posting)).map((posting) =>
    element("li", {}, element("div", {}, element("strong", {}, words(posting.kind)), element("span", { class: "note" }, dateTime(posting.at))),
      element("span", { class: "number" }, money(posting.amount, { signed: true })))));
}

/** Of a move between two of the partner's accounts, the side that loses is left out; a loss to the program is shown. */
function isOutgoing({ kind, amount }) {
  const moves = ["commissionReady", "payoutRequested", "payoutReleased", "payoutPaid"];
  return moves.includes(kind) && amount.amount.startsWith("-");
}

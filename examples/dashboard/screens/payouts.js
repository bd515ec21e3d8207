// The payouts: what a request would take, the request itself, what became of earlier ones, and their lines.

import { newIntent } from "../scripts/api.js";
import { announce, element } from "../scripts/dom.js";
import { counted, dateTime, day, money, sentence, words } from "../scripts/format.js";
import { card, downloadButton, drawer, emptyState, facts, pagedList, problemPanel, question, region, screenHead, status, table } from "../scripts/parts.js";

const PAGE = 15;

export function payoutsScreen({ api, account, query, signal }) {
  const place = element("div", {});
  const context = { api, account, signal };
  const list = pagedList({
    signal, label: "Payouts", skeleton: 6,
    fetchPage: (cursor, own) => api.get("/v3/payouts", { limit: PAGE, cursor }, own),
    render: (rows) => payoutsTable(rows, (row) => openPayout(context, row)),
    empty: () => emptyState("No payouts yet", account.kind === "partner"
      ? "Once more than the minimum is ready, you can request the first."
      : "Once you are a partner and more than the minimum is ready, you can request the first."),
  });
  const previews = region({
    signal, skeleton: 3, label: "Ready to pay out",
    fetcher: async (own) => {
      const { balances } = await api.get("/v3/commissions/summary", {}, own);
      return Promise.all(balances.map((row) => api.get("/v3/payouts/preview", { currency: row.currency }, own)));
    },
    render: (answers) => element("div", { class: "previews" }, answers.map((preview) => previewCard(context, preview))),
  });
  context.refresh = () => Promise.all([previews.reload(), list.restart()]);
  if (query.get("open")) openLinked(context, query.get("open"));
  return [
    screenHead("Payouts", "What is ready, what is on its way, and what has arrived",
      downloadButton({ text: "CSV", name: () => "payouts.csv", fetcher: () => api.getBlob("/v3/payouts/export"), place })),
    element("div", { class: "stack" }, place, previews, card({ title: "All payouts" }, list)),
  ];
}

function previewCard(context, preview) {
  const { amount, lineCount, minimum, method, allowed, refusal } = preview;
  return element("section", { class: "card preview" },
    element("div", { class: "preview-main" },
      element("h2", {}, `Ready in ${preview.currency}`),
      element("p", { class: "preview-amount" }, money(amount)),
      element("p", { class: "note" }, `${counted(lineCount, "line")} · more than ${money(minimum)} is needed`)),
    element("div", { class: "preview-side" },
      element("p", { class: "note" }, method ? `To ${words(method.type)} ${method.label}` : "No payout method yet"),
      element("button", { type: "button", class: "button primary", disabled: !allowed, onclick: () => confirmRequest(context, preview) }, "Request payout"),
      refusal && element("p", { class: "refusal" }, sentence(refusal.detail))));
}

function confirmRequest(context, { currency, amount, lineCount, method }) {
  confirmCommand({
    title: "Request this payout?",
    text: `${money(amount)} from ${counted(lineCount, "line")} goes to ${words(method.type)} ${method.label}, once Stape has approved it.`,
    button: `Request ${money(amount)}`,
    send: (intent) => context.api.post("/v3/payouts", { currency }, intent),
    done: (payout) => { announce(`Payout ${payout.number} of ${money(payout.amount)} requested`); context.refresh(); },
  });
}

function confirmCancel(context, payout, done) {
  confirmCommand({
    title: `Cancel payout ${payout.number}?`,
    text: `${money(payout.amount)} is ready again, and can be requested later.`,
    button: "Cancel the payout", keep: "Keep it",
    send: (intent) => context.api.post(`/v3/payouts/${payout.id}/cancel`, {}, intent),
    done: (answer) => { announce(`Payout ${answer.number} canceled`); done(); context.refresh(); },
  });
}

/**
 * Asks, then sends. The intent's key is made once: as long as nobody knows whether the request came through, the next attempt
 * carries the same key, and nothing happens twice.
 */
function confirmCommand({ title, text, button, keep = "Not now", send, done }) {
  question(title, (body, close) => {
    let intent = newIntent();
    const place = element("div", {});
    const confirm = element("button", { type: "button", class: "button primary" }, button);
    const run = async () => {
      confirm.disabled = true;
      place.replaceChildren();
      try {
        const answer = await send(intent);
        close();
        done(answer);
      } catch (problem) {
        // A clear refusal is an end: whoever tries again means it anew.
        if (!problem.isUncertain) intent = newIntent();
        place.replaceChildren(problemPanel(problem, problem.isUncertain ? run : null));
        confirm.disabled = Boolean(problem.isUncertain);
      }
    };
    confirm.addEventListener("click", run);
    body.append(element("p", {}, text), place,
      element("div", { class: "modal-actions" }, element("button", { type: "button", class: "button", onclick: close }, keep), confirm));
    confirm.focus();
  });
}

function payoutsTable(rows, open) {
  return table({
    caption: "Payouts", rows, open, openLabel: (row) => `Payout ${row.number}: show`,
    columns: [
      { name: "Number", main: true, cell: (row) => element("strong", {}, row.number) },
      { name: "Requested", cell: (row) => day(row.requestedAt) },
      { name: "To", extra: true, cell: (row) => `${words(row.method.type)} ${row.method.label}` },
      { name: "Status", cell: (row) => status(row.status) },
      { name: "Closed", extra: true, cell: (row) => day(row.closedAt) },
      { name: "Amount", number: true, cell: (row) => element("strong", {}, money(row.amount)) },
    ],
  });
}

function openLinked(context, id) {
  drawer("Payout", (body, close, signal) => {
    body.append(region({
      signal, label: "Payout", fetcher: (own) => context.api.get(`/v3/payouts/${encodeURIComponent(id)}`, {}, own),
      render: (payout) => payoutDetails(context, payout, close, signal),
    }));
  });
}

function openPayout(context, payout) {
  drawer(`Payout ${payout.number}`, (body, close, signal) => body.append(...payoutDetails(context, payout, close, signal)));
}

function payoutDetails(context, payout, close, signal) {
  const canCancel = payout.status === "requested" && context.account.kind === "partner";
  return [
    element("p", { class: "headline" }, element("strong", {}, money(payout.amount)), status(payout.status)),
    payout.reason && element("p", { class: "message" }, payout.reason),
    facts([
      ["Number", payout.number],
      ["To", `${words(payout.method.type)} ${payout.method.label}`],
      ["Requested by", payout.requestedBy === "partner" ? "You" : words(payout.requestedBy)],
      payout.reference && ["Reference", element("code", {}, payout.reference)],
      ["Id", element("code", {}, payout.id)],
    ]),
    steps(payout),
    canCancel && element("button", { type: "button", class: "button", onclick: () => confirmCancel(context, payout, close) }, "Cancel this payout"),
    element("h3", {}, `What it takes (${counted(payout.lineCount, "line")})`),
    pagedList({
      signal, label: "Lines", skeleton: 5,
      fetchPage: (cursor, own) => context.api.get(`/v3/payouts/${payout.id}/lines`, { limit: 10, cursor }, own),
      render: (rows) => element("ul", { class: "rows" }, rows.map(line)),
      empty: () => emptyState("No lines", "This payout took nothing."),
    }),
  ].filter(Boolean);
}

function steps(payout) {
  const all = [["Requested", payout.requestedAt], ["Approved", payout.approvedAt], ["Sent", payout.startedAt], ["Paid", payout.paidAt]];
  const taken = all.filter(([, at]) => at);
  if (payout.closedAt && !payout.paidAt) taken.push([words(payout.status), payout.closedAt]);
  return element("ol", { class: "timeline" }, taken.map(([name, at]) =>
    element("li", {}, element("div", {}, element("strong", {}, name), element("span", { class: "note" }, dateTime(at))))));
}

function line({ kind, subAccount, container, amount }) {
  return element("li", {},
    element("div", { class: "row-text" },
      element("strong", {}, subAccount?.name ?? words(kind)),
      element("span", { class: "note" }, container ? `${container.name} · ${words(container.plan)}` : words(kind))),
    element("div", { class: "row-side" }, element("strong", {}, money(amount)), kind === "adjustment" && element("span", { class: "note" }, "Adjustment")));
}

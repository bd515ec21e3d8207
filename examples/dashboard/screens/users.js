// The users: clients with their containers, and what each brings.

import { element, icon } from "../scripts/dom.js";
import { count, counted, day, dateTime, isZero, money, percent, words } from "../scripts/format.js";
import { card, chip, choice, downloadButton, drawer, emptyState, facts, pagedList, screenHead, table } from "../scripts/parts.js";

const PAGE = 20;
const TYPING_PAUSE_MS = 300;

export function usersScreen({ api, query, signal }) {
  const body = element("div", { class: "stack" });
  const views = {
    clients: () => clientsView({ api, query, signal }),
    containers: () => [containersList({ api, signal })],
  };
  const show = (view) => body.replaceChildren(...views[view]());
  show("clients");
  return [
    screenHead("Users", "Your clients, their containers, and what each brings you",
      choice({ label: "View", options: [["clients", "By client"], ["containers", "By container"]], value: "clients", onchange: show })),
    body,
  ];
}

function clientsView({ api, query, signal }) {
  const filter = {
    q: query.get("q") ?? "",
    limitExceeded: query.get("limitExceeded") === "true" || null,
    withErrors: query.get("withErrors") === "true" || null,
  };
  const list = pagedList({
    signal, label: "Clients",
    fetchPage: (cursor, own) => api.get("/v3/sub-accounts", { ...filter, limit: PAGE, cursor }, own),
    render: (rows) => clientsTable(rows, (row) => openClient(api, row)),
    empty: () => isFiltered(filter)
      ? emptyState("No client fits", "Try another search, or take a filter away.")
      : emptyState("No users yet", "Clients that you create, attach or refer appear here.", element("a", { class: "button", href: "#/referral" }, "Share your link")),
  });
  const place = element("div", {});
  const toggle = (name, text) => chip(text, Boolean(filter[name]), (isOn) => { filter[name] = isOn || null; list.restart(); });
  return [
    element("div", { class: "toolbar" }, searchField(filter, list),
      element("div", { class: "chips", role: "group", "aria-label": "Filters" }, toggle("limitExceeded", "Limit exceeded"), toggle("withErrors", "With errors")),
      downloadButton({ text: "CSV", name: () => "users.csv", fetcher: () => api.getBlob("/v3/sub-accounts/export", filter), place })),
    place, card({}, list),
  ];
}

const isFiltered = (filter) => Object.values(filter).some(Boolean);

function searchField(filter, list) {
  let timer = null;
  const input = element("input", {
    type: "search", placeholder: "Name, e-mail or container", value: filter.q, maxlength: 254, "aria-label": "Search users",
    oninput: () => {
      clearTimeout(timer);
      timer = setTimeout(() => { filter.q = input.value.trim(); list.restart(); }, TYPING_PAUSE_MS);
    },
  });
  return element("div", { class: "search" }, icon("search"), input);
}

function clientsTable(rows, open) {
  return table({
    caption: "Clients", rows, open,
    openLabel: (row) => `${nameOf(row)}: show containers`,
    columns: [
      { name: "Client", main: true, cell: (row) => person(nameOf(row), row.email) },
      { name: "Came by", extra: true, cell: (row) => words(row.origin) },
      { name: "Since", extra: true, cell: (row) => day(row.linkedAt) },
      { name: "Paid containers", number: true, cell: (row) => `${count(row.paidContainerCount)} of ${count(row.containerCount)}` },
      { name: "Attention", cell: attention },
      { name: "Per month", number: true, cell: (row) => sums(row.monthlyCommission) },
    ],
  });
}

const nameOf = (row) => `${row.firstName} ${row.lastName}`;

function person(name, email) {
  return element("span", { class: "person" }, element("strong", {}, name), element("span", { class: "note" }, email));
}

function attention(row) {
  const flags = [row.limitExceeded && flag("Limit exceeded", "wait"), row.withErrors && flag("Errors", "bad")].filter(Boolean);
  return flags.length ? element("span", { class: "flags" }, flags) : null;
}

const flag = (text, tone) => element("span", { class: "status", dataset: { tone } }, text);

/** One amount per currency. */
function sums(amounts) {
  if (amounts.length === 0) return "–";
  return element("span", { class: "sums" }, amounts.map((amount) => element("span", { class: isZero(amount) ? "note" : null }, money(amount))));
}

function openClient(api, client) {
  drawer(nameOf(client), (body, _close, signal) => {
    body.append(facts([
      ["E-mail", client.email],
      ["Came by", words(client.origin)],
      ["Access", words(client.access)],
      ["Pays", client.billing === "individual" ? "The client" : "You, with one invoice"],
      ["Client since", dateTime(client.linkedAt)],
      client.note && ["Your note", client.note],
      ["Brings per month", sums(client.monthlyCommission)],
    ]), element("h3", {}, "Containers"), clientContainers(api, client, signal));
  });
}

function clientContainers(api, client, signal) {
  return pagedList({
    signal, label: "Containers", skeleton: 4,
    fetchPage: (cursor, own) => api.get("/v3/containers", { subAccountId: client.id, limit: 10, cursor }, own),
    render: (rows) => element("ul", { class: "containers" }, rows.map(containerItem)),
    empty: () => emptyState("No containers", "This client has none yet."),
  });
}

function containerItem({ name, product, plan, status: state, subscription, billingPeriod, usage, errors, commission }) {
  const used = usage.limit === null ? `${count(usage.requests)} requests` : `${count(usage.requests)} of ${count(usage.limit)} requests`;
  return element("li", { class: "container" },
    element("div", { class: "container-head" },
      element("div", {}, element("strong", {}, name), element("span", { class: "note" }, `${words(product)} · ${words(plan)}`)),
      element("div", { class: "number" }, element("strong", {}, money(commission.monthly)), element("span", { class: "note" }, "per month"))),
    element("p", { class: "note" }, isZero(subscription.price)
      ? "Free of charge"
      : `${money(subscription.price)} ${billingPeriod === "yearly" ? "a year" : "a month"} at ${percent(commission.ratePercent)} · ${payment(subscription)}`),
    element("p", { class: "flags" }, flag(words(state), STATE_TONES[state] ?? "quiet"),
      usage.limitExceeded && flag("Limit exceeded", "wait"), element("span", { class: "note" }, used)),
    errors.map((error) => element("p", { class: "container-error" }, `${error.message} (since ${day(error.since)})`)));
}

const STATE_TONES = { running: "good", error: "bad" };

function payment({ status: state, nextPaymentAt }) {
  return nextPaymentAt ? `next payment ${day(nextPaymentAt)}` : words(state).toLowerCase();
}

function containersList({ api, signal }) {
  const list = pagedList({
    signal, label: "Containers",
    fetchPage: (cursor, own) => api.get("/v3/commissions/by-container", { limit: PAGE, cursor }, own),
    render: (rows) => table({
      caption: "Containers and what they bring", rows,
      columns: [
        { name: "Container", main: true, cell: (row) => person(row.container.name, `${words(row.container.product)} · ${words(row.container.plan)}`) },
        { name: "Client", cell: (row) => person(row.subAccount.name, row.subAccount.email) },
        { name: "Price", number: true, cell: (row) => `${money(row.price)} ${row.billingPeriod === "yearly" ? "a year" : "a month"}` },
        { name: "Rate", number: true, extra: true, cell: (row) => percent(row.ratePercent) },
        { name: "Last paid", extra: true, cell: (row) => day(row.lastPaymentAt) },
        { name: "Per month", number: true, cell: (row) => sums([row.monthly]) },
      ],
    }),
    empty: () => emptyState("No containers yet", "Those of your clients appear here."),
  });
  return card({}, list);
}

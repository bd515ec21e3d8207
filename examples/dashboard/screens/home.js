// The partner's home page: level, money, earnings over time, what matures, plans, alerts, what is new.

import { barChart, moneyAxis, moneyPoints } from "../scripts/chart.js";
import { drawing, element, icon } from "../scripts/dom.js";
import {
  calendarDate, counted, count, day, isZero, minorUnits, money, moneyFrom, percent, timeZone, words,
} from "../scripts/format.js";
import { card, choice, emptyState, region, screenHead, status } from "../scripts/parts.js";

/** Days of the maturing amounts that are shown before one asks for more. */
const SHOWN_DAYS = 6;

export function homeScreen({ api, account, signal }) {
  const place = region({
    signal, skeleton: 10, label: "Overview",
    // The program's thresholds turn what is missing for the next level into a share of it.
    fetcher: async (own) => {
      const [dashboard, program] = await Promise.all([api.get("/v3/dashboard", {}, own), api.get("/v3/program", {}, own)]);
      return { dashboard, program };
    },
    render: (answer) => overview({ api, signal, ...answer }),
  });
  const today = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" }).format(new Date());
  return [screenHead(`${greeting()}, ${account.firstName}`, today), place];
}

function greeting() {
  const hour = new Date().getHours();
  if (hour < 5 || hour >= 18) return "Good evening";
  return hour < 12 ? "Good morning" : "Good afternoon";
}

function overview({ api, signal, dashboard, program }) {
  const money = element("div", { class: "stack" });
  const show = (currency) => {
    const balance = dashboard.balances.find((row) => row.currency === currency);
    money.replaceChildren(
      figures(balance, dashboard.level !== null),
      element("div", { class: "columns" },
        earningsCard({ api, signal, currency }),
        maturingCard({ api, signal, currency })));
  };
  const currencies = dashboard.balances.map((row) => row.currency);
  show(currencies[0]);
  return element("div", { class: "stack" },
    alerts(dashboard.alerts),
    currencies.length > 1 && element("div", { class: "toolbar" },
      choice({ label: "Currency", options: currencies.map((code) => [code, code]), value: currencies[0], onchange: show })),
    money,
    element("div", { class: "columns even" },
      element("div", { class: "stack" },
        dashboard.level ? levelCard(dashboard.level, program) : eligibilityCard(dashboard.eligibility, program),
        plansCard(dashboard.containersByPlan)),
      element("div", { class: "stack" }, recentPayouts(dashboard.recentPayouts), recentUsers(dashboard.recentSubAccounts))));
}

function alerts({ limitExceeded, withErrors }) {
  const link = (number, text, filter) => number > 0 && element("a", { class: "alert", href: `#/users?${filter}=true` },
    icon("warning"), element("span", {}, element("strong", {}, count(number)), ` ${text}`), icon("chevron"));
  const clients = (number) => (number === 1 ? "client has" : "clients have");
  return (limitExceeded > 0 || withErrors > 0) && element("div", { class: "alerts" },
    link(limitExceeded, `${clients(limitExceeded)} used up a plan's requests`, "limitExceeded"),
    link(withErrors, `${clients(withErrors)} containers with errors`, "withErrors"));
}

function figures(balance, isPartner) {
  const [now, before] = [balance.earnedThisMonth, balance.earnedLastMonth];
  const figure = (name, value, note, main = false) => element("div", { class: main ? "figure figure-main" : "figure" },
    element("dt", {}, name), element("dd", {}, money(value)), note && element("dd", { class: "note" }, note));
  const canRequest = isPartner && minorUnits(balance.readyToPayout) > 0n;
  const request = canRequest ? element("a", { href: "#/payouts" }, "Request a payout") : "What a payout could take";
  return element("dl", { class: "figures", "aria-label": `Balances in ${balance.currency}` },
    figure("Earned this month", now, comparison(now, before), true),
    figure("Ready to pay out", balance.readyToPayout, request, true),
    figure("In review", balance.inReview, "May still be refunded"),
    figure("In payout", balance.inPayout, "On its way to you"),
    figure("Paid out", balance.paid, "Since the beginning"),
    figure("Monthly value", balance.monthlyValue, "At your present rates"),
    figure("Last month", before, "Earned, months in UTC"),
    figure("Debt", balance.debt, isZero(balance.debt) ? "Nothing to pay off" : "Later commissions pay it off"));
}

function comparison(now, before) {
  const difference = minorUnits(now) - minorUnits(before);
  const text = money(moneyFrom(difference, now), { signed: true });
  return difference === 0n ? "The same as last month" : `${text} against all of last month`;
}

function earningsCard({ api, signal, currency }) {
  let interval = "day";
  const chart = region({
    signal, skeleton: 6, label: "Earnings over time",
    fetcher: (own) => api.get("/v3/commissions/time-series", { interval, timeZone, currency, from: firstDay(interval) }, own),
    render: (series) => {
      const points = moneyPoints(series);
      if (points.every((point) => point.value === 0)) return emptyState("Nothing earned in this time", "Payments of your clients show up here.");
      const total = series.data.reduce((sum, point) => sum + minorUnits(point.earned), 0n);
      return [
        element("p", { class: "chart-total" }, element("strong", {}, money(moneyFrom(total, series.data[0].earned))), ` in ${rangeName(series)}`),
        barChart({
          title: "Earnings over time", points, interval: series.interval, axis: moneyAxis(series),
          columns: ["Commissions", "Reversed", "Adjusted", "Earned"],
        }),
      ];
    },
  });
  const switcher = choice({
    label: "Interval", value: interval, options: [["day", "Days"], ["week", "Weeks"], ["month", "Months"]],
    onchange: (next) => { interval = next; chart.reload(); },
  });
  return card({ title: "Earnings", note: `Time zone ${timeZone.replaceAll("_", " ")}`, actions: switcher }, chart);
}

/** The first day of the chart: with today's, 30 days, 12 weeks or 12 months. */
function firstDay(interval) {
  const today = new Date();
  const [year, month, date] = [today.getFullYear(), today.getMonth(), today.getDate()];
  const first = { day: [year, month, date - 29], week: [year, month, date - 77], month: [year, month - 11, 1] }[interval];
  const shifted = new Date(Date.UTC(...first));
  return shifted.toISOString().slice(0, 10);
}

const rangeName = ({ data, interval }) => `${counted(data.length, interval)}`;

function maturingCard({ api, signal, currency }) {
  const list = region({
    signal, skeleton: 6, label: "Maturing amounts",
    fetcher: (own) => api.get("/v3/commissions/maturing", { currency, timeZone }, own),
    render: ({ data }) => {
      if (data.length === 0) return emptyState("Nothing in review", "New commissions are reviewed before they can be paid out.");
      const most = data.reduce((highest, row) => (minorUnits(row.amount) > highest ? minorUnits(row.amount) : highest), 1n);
      const rows = data.map((row) => element("li", {},
        element("span", { class: "bar-row-name" }, calendarDate(row.date, "full")),
        element("span", { class: "bar-row-value" }, money(row.amount)),
        share(Number((minorUnits(row.amount) * 1000n) / most) / 10)));
      return shortened(rows);
    },
  });
  return card({ title: "Getting ready", note: "In review, by the day on which it can be paid out" }, list);
}

function shortened(rows) {
  const list = element("ul", { class: "bar-rows" }, rows.slice(0, SHOWN_DAYS));
  if (rows.length <= SHOWN_DAYS) return list;
  const more = element("button", {
    type: "button", class: "link-button",
    onclick: () => { list.append(...rows.slice(SHOWN_DAYS)); more.remove(); },
  }, `Show all ${rows.length} days`);
  return [list, more];
}

/** A thin bar, `percent` of the width. Decoration: the figure stands beside it. */
function share(percentOfWidth) {
  const bar = drawing("svg", { class: "share", viewBox: "0 0 100 1", preserveAspectRatio: "none", "aria-hidden": "true" });
  bar.append(
    drawing("rect", { class: "share-ground", width: 100, height: 1 }),
    drawing("rect", { class: "share-value", width: Math.max(0, Math.min(100, percentOfWidth)), height: 1 }));
  return bar;
}

function levelCard(level, program) {
  const target = level.next && program.levels.find((row) => row.level === level.next.level);
  return card({ title: "Your level" },
    element("div", { class: "level" },
      element("span", { class: "level-number" }, `Level ${level.level}`),
      element("strong", { class: "level-name" }, level.name),
      element("span", { class: "level-rate" }, element("strong", {}, percent(level.ratePercent)), " of what clients pay")),
    target ? [
      element("p", { class: "note" }, `Either is enough for ${level.next.name} (${percent(target.rates.default)}):`),
      progress("Paid containers", level.paidContainers, level.next.minPaidContainers, count,
        `${count(level.next.missingPaidContainers)} more`),
      progress("Monthly referral value", minorUnits(level.referralValue), minorUnits(level.next.minReferralValue),
        (minor) => money(moneyFrom(minor, level.referralValue)), `${money(level.next.missingReferralValue)} more`),
    ] : element("p", { class: "note" }, "This is the highest level. Thank you for bringing so many clients."));
}

function eligibilityCard({ paidContainers, referralValue, eligible }, program) {
  const target = program.levels[0];
  const [value, wanted] = [minorUnits(referralValue), minorUnits(target.minReferralValue)];
  return card({ title: "Become a partner" },
    element("p", { class: "note" }, eligible
      ? "You may apply: one of the two is reached."
      : `Either is enough to apply and to earn ${percent(target.rates.default)}:`),
    progress("Paid containers", paidContainers, target.minPaidContainers, count,
      `${count(Math.max(0, target.minPaidContainers - paidContainers))} more`),
    progress("Monthly referral value", value, wanted, (minor) => money(moneyFrom(minor, referralValue)),
      `${money(moneyFrom(value > wanted ? 0n : wanted - value, referralValue))} more`));
}

function progress(name, have, want, shown, missing) {
  const [haveBig, wantBig] = [BigInt(have), BigInt(want)];
  const done = wantBig === 0n || haveBig >= wantBig ? 100 : Number((haveBig * 1000n) / wantBig) / 10;
  const id = `progress-${name.replaceAll(" ", "-").toLowerCase()}`;
  return element("div", { class: "progress" },
    element("div", { class: "progress-text" }, element("span", { id }, name),
      element("span", {}, element("strong", {}, shown(have)), ` of ${shown(want)}`)),
    element("div", { role: "progressbar", "aria-labelledby": id, "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": Math.floor(done), "aria-valuetext": `${shown(have)} of ${shown(want)}` }, share(done)),
    element("span", { class: "note" }, done >= 100 ? "Reached" : missing));
}

function plansCard(plans) {
  const most = Math.max(1, ...plans.map((row) => row.count));
  const sorted = plans.toSorted((one, other) => other.count - one.count);
  const total = plans.reduce((sum, row) => sum + row.count, 0);
  return card({ title: "Containers by plan", note: total ? `${counted(total, "container")} of all your clients` : null },
    plans.length === 0
      ? emptyState("No containers yet", "Those of your clients are counted here.")
      : element("ul", { class: "bar-rows" }, sorted.map((row) => element("li", {},
        element("span", { class: "bar-row-name" }, `${words(row.product)} `, element("span", { class: "plan" }, words(row.plan))),
        element("span", { class: "bar-row-value" }, count(row.count)),
        share((row.count / most) * 100)))));
}

function recentUsers(rows) {
  return card({ title: "New users", actions: element("a", { href: "#/users" }, "All users") },
    rows.length === 0
      ? emptyState("No users yet", "Share your referral link, or create a client's account.")
      : element("ul", { class: "rows" }, rows.map((row) => element("li", {},
        element("div", { class: "row-text" }, element("strong", {}, `${row.firstName} ${row.lastName}`), element("span", { class: "note" }, row.email)),
        element("div", { class: "row-side" }, element("span", {}, words(row.origin)), element("span", { class: "note" }, day(row.linkedAt)))))));
}

function recentPayouts(rows) {
  return card({ title: "Latest payouts", actions: element("a", { href: "#/payouts" }, "All payouts") },
    rows.length === 0
      ? emptyState("No payouts yet", "What is ready can be requested on the payouts screen.")
      : element("ul", { class: "rows" }, rows.map((row) => element("li", {},
        element("div", { class: "row-text" }, element("strong", {}, row.number), element("span", { class: "note" }, `${words(row.method.type)} ${row.method.label}`)),
        element("div", { class: "row-side" }, element("strong", {}, money(row.amount)), status(row.status))))));
}

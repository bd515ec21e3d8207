// The referral links with their numbers, their QR codes, and the badge.

import { barChart, countAxis } from "../scripts/chart.js";
import { element } from "../scripts/dom.js";
import { count, money } from "../scripts/format.js";
import { card, choice, copyButton, emptyState, region, screenHead } from "../scripts/parts.js";

export function referralScreen({ api, account, signal }) {
  const links = region({
    signal, skeleton: 8, label: "Referral links",
    fetcher: (own) => api.get("/v3/referral-links", { limit: 100 }, own),
    render: ({ data }) => linksView({ api, signal, links: data }),
  });
  return [
    screenHead("Referral", "Your link, what came of it, and the badge for your website"),
    element("div", { class: "stack" }, links, badgeCard({ api, account, signal })),
  ];
}

function linksView({ api, signal, links }) {
  // The default link first: it is the one that everybody has.
  const sorted = links.toSorted((one, other) => Number(other.isDefault) - Number(one.isDefault));
  const body = element("div", { class: "stack" });
  const show = (id) => body.replaceChildren(...linkView({ api, signal, link: sorted.find((link) => link.id === id) }));
  show(sorted[0].id);
  return element("div", { class: "stack" },
    sorted.length > 1 && linkPicker(sorted, show),
    body);
}

/** A few links are buttons; many are a list to choose from. */
function linkPicker(links, show) {
  const options = links.map((link) => [link.id, link.enabled ? link.name : `${link.name} (disabled)`]);
  if (links.length <= 4) return element("div", { class: "toolbar" }, choice({ label: "Link", options, value: links[0].id, onchange: show }));
  const select = element("select", { onchange: () => show(select.value) }, options.map(([value, text]) => element("option", { value }, text)));
  return element("div", { class: "toolbar" }, element("label", { class: "picker" }, element("span", {}, "Link"), select));
}

function linkView({ api, signal, link }) {
  return [
    card({ title: link.isDefault ? "Your referral link" : link.name, note: link.enabled ? null : "Disabled: its address is not found" },
      element("div", { class: "link" },
        element("div", { class: "link-text" },
          element("div", { class: "copy-field" },
            element("input", { type: "text", readonly: true, value: link.url, "aria-label": "Referral link", onfocus: (event) => event.target.select() }),
            copyButton(link.url, "Copy the referral link")),
          element("dl", { class: "figures compact", "aria-label": "Since the beginning" },
            figure("Clicks", link.clicks), figure("Visitors", link.uniqueVisitors), figure("Sign-ups", link.signUps), figure("Paying clients", link.payingClients))),
        qrCode({ api, signal, link }))),
    statisticsCard({ api, signal, link }),
  ];
}

const figure = (name, value) => element("div", { class: "figure" }, element("dt", {}, name), element("dd", {}, typeof value === "number" ? count(value) : value));

function qrCode({ api, signal, link }) {
  return region({
    signal, skeleton: 3, label: "QR code",
    fetcher: (own) => api.getBlob(`/v3/referral-links/${link.id}/qr.svg`, {}, own),
    render: (blob) => {
      const url = URL.createObjectURL(blob);
      signal.addEventListener("abort", () => URL.revokeObjectURL(url), { once: true });
      return element("figure", { class: "qr" },
        element("img", { src: url, alt: `QR code of ${link.url}`, width: 168, height: 168 }),
        element("a", { class: "button", href: url, download: `${link.code}.svg` }, "Download SVG"));
    },
  });
}

function statisticsCard({ api, signal, link }) {
  let shown = "clicks";
  const measures = { clicks: "Clicks", uniqueVisitors: "Visitors", signUps: "Sign-ups", payingClients: "Paying clients" };
  const body = region({
    signal, skeleton: 6, label: "Statistics",
    fetcher: (own) => api.get(`/v3/referral-links/${link.id}/stats`, {}, own),
    render: ({ data, totals }) => {
      const earned = totals.earned.length ? totals.earned.map((amount) => money(amount)).join(" + ") : "nothing";
      const summary = element("p", { class: "chart-total" }, element("strong", {}, `${count(totals[shown])} ${measures[shown].toLowerCase()}`), ` · clients of this link earned you ${earned}`);
      if (data.every((row) => row[shown] === 0)) return [summary, emptyState(`No ${measures[shown].toLowerCase()} in 30 days`, "Share the link, and see here what comes of it.")];
      const points = data.map((row) => ({
        date: row.date, value: row[shown], text: `${count(row[shown])} ${measures[shown].toLowerCase()}`, parts: [],
        cells: Object.keys(measures).map((name) => count(row[name])),
      }));
      return [summary, barChart({ title: `${measures[shown]} per day`, points, interval: "day", axis: countAxis, columns: Object.values(measures) })];
    },
  });
  const switcher = choice({ label: "Figure", options: Object.entries(measures), value: shown, onchange: (next) => { shown = next; body.reload(); } });
  return card({ title: "Last 30 days", note: "Days in UTC", actions: switcher }, body);
}

function badgeCard({ api, account, signal }) {
  if (account.kind !== "partner") {
    return card({ title: "Partner badge" }, emptyState("The badge is for partners", "Once you are in the partner program, it shows your level on your website."));
  }
  const body = region({
    signal, skeleton: 4, label: "Badge",
    fetcher: (own) => api.get("/v3/badge", {}, own),
    render: (badge) => element("div", { class: "badge" },
      element("div", { class: "badge-previews" },
        preview("light", badge.urls.light, badge.levelName), preview("dark", badge.urls.dark, badge.levelName)),
      element("div", { class: "stack" }, code("HTML", badge.html), code("Markdown", badge.markdown))),
  });
  return card({ title: "Partner badge", note: "It shows your level and leads to your referral link" }, body);
}

function preview(theme, url, levelName) {
  return element("figure", { class: `badge-preview on-${theme}` },
    element("img", { src: url, alt: `${levelName} badge for ${theme} pages`, width: 248, height: 72 }),
    element("figcaption", {}, `On ${theme} pages`));
}

function code(name, text) {
  const id = `embed-${name.toLowerCase()}`;
  return element("div", { class: "embed" },
    element("div", { class: "embed-head" }, element("h3", { id }, name), copyButton(text, `Copy the ${name} code`)),
    element("pre", { tabindex: "0", "aria-labelledby": id }, element("code", {}, text)));
}

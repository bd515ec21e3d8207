// Starts the page: who is signed in, the frame around the screens, and which screen the address names.

import { Api, ApiProblem } from "./api.js";
import { announce, element, icon } from "./dom.js";
import { problemPanel } from "./parts.js";
import { commissionsScreen } from "../screens/commissions.js";
import { homeScreen } from "../screens/home.js";
import { payoutsScreen } from "../screens/payouts.js";
import { referralScreen } from "../screens/referral.js";
import { signInScreen } from "../screens/sign-in.js";
import { usersScreen } from "../screens/users.js";

const DEFAULT_API = "http://127.0.0.1:8080";

const SCREENS = {
  home: { name: "Home", render: homeScreen },
  users: { name: "Users", render: usersScreen },
  commissions: { name: "Commissions", render: commissionsScreen },
  payouts: { name: "Payouts", render: payoutsScreen },
  referral: { name: "Referral", render: referralScreen },
};

const root = document.getElementById("app");
let screenLife = new AbortController();
/** What the screens work with: the client and the signed-in account. Null while nobody is signed in. */
let context = null;

function start() {
  window.addEventListener("hashchange", () => { if (context) showScreen(true); });
  showSignIn();
}

function showSignIn(message = null) {
  screenLife.abort();
  closeModals();
  context = null;
  document.title = "Sign in · Partner dashboard";
  const address = new URLSearchParams(location.search).get("api") ?? DEFAULT_API;
  root.replaceChildren(signInScreen({ address, message, signIn }));
  root.querySelector("input[type=email]").focus();
}

async function signIn({ address, email, password }) {
  const api = new Api(address, (reason) => showSignIn(reason));
  await api.signIn(email, password);
  const account = await api.get("/v3/account");
  if (account.kind === "standard") {
    await api.signOut();
    throw new ApiProblem({ title: "This is a client's login", detail: "The dashboard is for agencies and partners." });
  }
  context = { api, account };
  showFrame();
}

function showFrame() {
  const { account } = context;
  const links = Object.entries(SCREENS).map(([key, screen]) =>
    element("a", { href: `#/${key}`, dataset: { screen: key } }, icon(key), element("span", {}, screen.name)));
  const name = account.companyName ?? `${account.firstName} ${account.lastName}`;
  root.replaceChildren(
    element("a", { class: "skip-link", href: "#main", onclick: (event) => { event.preventDefault(); focusHeading(); } }, "Skip to content"),
    element("div", { class: "frame" },
      element("header", { class: "sidebar" },
        element("div", { class: "brand" }, element("img", { src: "icon.svg", alt: "", width: 32, height: 32 }),
          element("div", {}, element("strong", {}, name), element("span", { class: "note" }, account.kind === "partner" ? "Stape partner" : "Stape agency"))),
        element("nav", { "aria-label": "Screens" }, links),
        element("div", { class: "who" },
          element("span", { class: "note", title: account.email }, account.email),
          element("button", { type: "button", class: "sign-out", onclick: leave }, icon("signOut"), element("span", {}, "Sign out")))),
      element("main", { id: "main" })));
  showScreen(false);
}

function showScreen(isFocused) {
  screenLife.abort();
  closeModals();
  screenLife = new AbortController();
  const [, key = "home", parameters = ""] = /^#\/([a-z]+)(?:\?(.*))?$/.exec(location.hash) ?? [];
  const chosen = Object.hasOwn(SCREENS, key) ? key : "home";
  for (const link of root.querySelectorAll("nav a")) {
    if (link.dataset.screen === chosen) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${SCREENS[chosen].name} · Partner dashboard`;
  const query = new URLSearchParams(parameters);
  root.querySelector("main").replaceChildren(...SCREENS[chosen].render({ ...context, query, signal: screenLife.signal }));
  window.scrollTo(0, 0);
  if (isFocused) focusHeading();
}

function focusHeading() {
  root.querySelector("h1")?.focus();
}

async function leave() {
  const { api } = context;
  showSignIn("You are signed out.");
  await api.signOut();
}

/** A drawer does not outlive its screen. */
function closeModals() {
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
}

// What nobody expected is shown, too, not only logged.
window.addEventListener("unhandledrejection", ({ reason }) => {
  if (reason?.name === "AbortError") return;
  const place = root.querySelector("main") ?? root;
  place.prepend(problemPanel(reason));
  announce("Something went wrong");
});

start();

// Sign in: the API's address, e-mail and password.

import { element } from "../scripts/dom.js";
import { problemPanel } from "../scripts/parts.js";

/** `signIn({address, email, password})` opens the session, and with it the screens. */
export function signInScreen({ address, message, signIn }) {
  const place = element("div", { class: "sign-in-problem" });
  const field = (label, properties) => element("label", {}, element("span", {}, label), element("input", { required: true, ...properties }));
  const server = field("Address of the API", { type: "url", name: "address", value: address, autocomplete: "url", spellcheck: "false" });
  const button = element("button", { class: "button primary", type: "submit" }, "Sign in");
  const form = element("form", {
    onsubmit: async (event) => {
      event.preventDefault();
      const input = Object.fromEntries(new FormData(form));
      button.disabled = true;
      button.textContent = "Signing in…";
      place.replaceChildren();
      try {
        await signIn(input);
      } catch (problem) {
        // Only a refusal for too many attempts gets its own button: it counts down.
        place.replaceChildren(problemPanel(problem, problem.retryAfter ? () => form.requestSubmit() : null));
        form.elements.password.select();
      } finally {
        button.disabled = false;
        button.textContent = "Sign in";
      }
    },
  },
  field("E-mail", { type: "email", name: "email", autocomplete: "username" }),
  field("Password", { type: "password", name: "password", autocomplete: "current-password" }),
  button,
  element("details", { class: "server" }, element("summary", {}, "Server"), server));
  if (!address.startsWith("http://127.0.0.1:8080")) form.querySelector("details").open = true;
  return element("main", { class: "sign-in" },
    element("div", { class: "sign-in-card" },
      element("img", { src: "icon.svg", alt: "", width: 44, height: 44 }),
      element("h1", { tabindex: "-1" }, "Partner dashboard"),
      element("p", { class: "note" }, "Your clients, your commissions, your payouts."),
      message && element("p", { class: "message", role: "status" }, message),
      place, form));
}

// Builds elements. Text from the API reaches the page through text nodes and attributes only, never as markup.

const SVG = "http://www.w3.org/2000/svg";

/**
 * An HTML element. `properties`: attributes by name; `on…` listens; `class` and `dataset` as one expects; null and false are left
 * out, true is an attribute without a value.
 */
export function element(name, properties = {}, ...children) {
  return furnish(document.createElement(name), properties, children);
}

/** An SVG element, in the same way. */
export function drawing(name, properties = {}, ...children) {
  return furnish(document.createElementNS(SVG, name), properties, children);
}

function furnish(node, properties, children) {
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "dataset") Object.assign(node.dataset, value);
    else node.setAttribute(key, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Says something to those who listen to the page. */
export function announce(text) {
  const announcer = document.getElementById("announcer");
  announcer.textContent = "";
  // A change is noticed only if the text was gone for a moment.
  setTimeout(() => { announcer.textContent = text; }, 50);
}

const ICONS = {
  home: "M3 11 12 4l9 7v9a1 1 0 0 1-1 1h-5v-6H9v6H4a1 1 0 0 1-1-1z",
  users: "M9 11a4 4 0 1 0 0-8 4 4 0 0 0 0 8zm-7 9c0-3.6 3-6 7-6s7 2.4 7 6M16.5 3.4a4 4 0 0 1 0 7.2M18.5 14.4c2.1.8 3.5 2.7 3.5 5.6",
  commissions: "M5 3h14v18l-3-2-2 2-2-2-2 2-2-2-3 2zM9 8h6M9 12h6",
  payouts: "M3 6h18v12H3zM3 10h18M7 15h3",
  referral: "M10 14a4.5 4.5 0 0 0 6.4 0l3.2-3.2a4.5 4.5 0 0 0-6.4-6.4L12 5.6M14 10a4.5 4.5 0 0 0-6.4 0l-3.2 3.2a4.5 4.5 0 0 0 6.4 6.4l1.2-1.2",
  signOut: "M14 4h5a1 1 0 0 1 1 1v14a1 1 0 0 1-1 1h-5M10 8l-4 4 4 4M6 12h10",
  close: "M6 6l12 12M18 6 6 18",
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM16 16l5 5",
  download: "M12 4v11m0 0 4-4m-4 4-4-4M4 20h16",
  chevron: "m9 6 6 6-6 6",
  warning: "M12 4 2.5 20h19zM12 10v4M12 17v.5",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
};

/** A decorative icon of the set. */
export function icon(name) {
  return drawing("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" },
    drawing("path", { d: ICONS[name] }));
}

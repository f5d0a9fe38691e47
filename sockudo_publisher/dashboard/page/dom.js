// Builds elements. Every text is a text node: a name from outside is never markup, and its control characters and marks
// of direction are shown as escapes, so that it cannot imitate another name.

const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

export const byId = (id) => document.getElementById(id);

export const printable = (text) =>
  String(text).replace(HIDDEN, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);

export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick" || name === "onchange") made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((one) => one !== null));
  return made;
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// A name or text from outside of this package.
export const outside = (text) => el("span", { class: "outside", title: printable(text) }, printable(text));

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setClass(node, name) {
  if (node.getAttribute("class") !== name) node.setAttribute("class", name);
}

// Replaces the children only if the data has changed, so that a selection of text and a focus stay.
export function fill(parent, data, makeChildren) {
  const text = JSON.stringify(data);
  if (parent.shownData === text) return;
  parent.shownData = text;
  parent.replaceChildren(...makeChildren());
}

// Replaces the rows of a table; a focus stays on the same control of the same row.
export function replaceRows(body, rows) {
  const at = body.contains(document.activeElement) ? document.activeElement : null;
  const id = at?.closest("tr")?.dataset.id, tag = at?.tagName;
  body.replaceChildren(...rows);
  if (at === null) return;
  const row = rows.find((one) => one.dataset.id === id) ?? rows[0];
  row?.querySelector(tag)?.focus();
}

export const cell = (label, content, kind = "") =>
  el("td", { class: kind || null, "data-label": label }, content);

export function say(node, text, state = "") {
  node.dataset.state = state;
  setText(node, text);
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const number = (value) => (value >= 1e7 ? short.format(value) : whole.format(value));
export const rate = (value) => (value === null ? "–" : value < 10 && value > 0 ? tenth.format(value) : number(value));
export const plural = (count, noun) => `${number(count)} ${noun}${count === 1 ? "" : "s"}`;

export function age(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 100) return `${tenth.format(seconds)} s`;
  if (seconds < 6000) return `${whole.format(seconds / 60)} min`;
  return seconds < 172800 ? `${whole.format(seconds / 3600)} h` : `${whole.format(seconds / 86400)} days`;
}

export function bytes(count) {
  return count < 1000 ? `${count} B` : count < 1e6 ? `${tenth.format(count / 1000)} KB` : `${tenth.format(count / 1e6)} MB`;
}

const day = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" };
const clock = new Intl.DateTimeFormat("en-GB", day), longClock = new Intl.DateTimeFormat("en-GB", { ...day, year: "numeric" });

export function when(ms) {
  if (!ms) return "unknown";
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) return `${ms} ms`;
  return (date.getFullYear() === new Date().getFullYear() ? clock : longClock).format(date);
}

export const time = (ms) => {
  const date = new Date(ms);
  const known = ms && !Number.isNaN(date.getTime());
  return el("time", { datetime: known ? date.toISOString() : null }, when(ms));
};

// The page: asks for a look each second while it is visible, and shows it. The server looks at Redis once a second,
// whatever the number of pages.
import { History, makeCharts } from "./charts.js";
import { byId, number, printable, say, setText } from "./dom.js";
import { makeFlow } from "./flow.js";
import { makeLetters } from "./letters.js";
import { outboxOf, showPanels, showVerdict } from "./panels.js";
import { makeAudit, makeScheduled } from "./records.js";
import { get, post } from "./server.js";

const EVERY_MS = 1000;
const LOOK_TIMEOUT_MS = 8000;
const ACTOR = "sockudo-dashboard-actor";

const histories = new Map();
let current = null, chosenApp = null, lastNumber = -1, lastCounts = "", announced = "", timer = null;

const page = {
  isReadOnly: false,
  app: () => current?.app ?? null,
  actor: () => byId("actor").value.trim(),
  acted: () => audit.load(),

  // Asks in a dialog; true if the person agrees.
  confirm({ title, text, more = null, yes, isDangerous = false, isPossible = true }) {
    const dialog = byId("confirm");
    setText(byId("confirm-title"), title);
    setText(byId("confirm-text"), text);
    byId("confirm-more").hidden = more === null;
    byId("confirm-more").replaceChildren(...(more === null ? [] : [more]));
    const button = byId("confirm-yes");
    setText(button, yes);
    button.className = isDangerous ? "primary danger" : "primary";
    button.disabled = !isPossible;
    dialog.returnValue = "no";
    dialog.showModal();
    byId("confirm-no").focus();
    return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
  },
};

const showFlow = makeFlow(byId("flow")), showCharts = makeCharts(byId("charts"));
const letters = makeLetters(page), scheduled = makeScheduled(page), audit = makeAudit(page);

// For screen readers, and only when the state changes.
function announce(text) {
  if (text === announced) return;
  announced = text;
  setText(byId("announce"), text);
}

function showAway(text) {
  byId("link").dataset.state = "away";
  setText(byId("link-text"), "away");
  byId("away").hidden = false;
  setText(byId("away"), `Not up to date: ${printable(text)}. The page goes on asking.`);
  byId("verdict").dataset.state = "wait";
  announced = "";
}

function chooseApp(look) {
  const names = look.apps.map((one) => one.app), select = byId("app");
  if (JSON.stringify(names) !== select.dataset.names) {
    select.dataset.names = JSON.stringify(names);
    select.replaceChildren(...names.map((name) => new Option(printable(name), name)));
    byId("app-chooser").hidden = names.length < 2;
  }
  const name = names.includes(chosenApp) ? chosenApp : names.includes("default") ? "default" : names[0];
  select.value = name ?? "";
  return look.apps.find((one) => one.app === name) ?? null;
}

function badge(id, count) {
  byId(id).hidden = !count;
  setText(byId(id), number(count));
}

function loadLists() {
  letters.load();
  scheduled.load();
  audit.load();
}

function showLook(answer) {
  const { look } = answer;
  page.isReadOnly = answer.is_read_only;
  byId("read-only").hidden = !answer.is_read_only;
  byId("sign-out").hidden = !answer.needs_token;
  for (const id of ["pause", "resume", "pause-reason"]) byId(id).disabled = answer.is_read_only;
  setText(byId("namespace"), look.namespace ? `namespace ${look.namespace}` : "");
  if (answer.number !== lastNumber) {
    for (const app of look.apps) {
      if (!histories.has(app.app)) histories.set(app.app, new History());
      histories.get(app.app).add(app.totals, performance.now());
    }
    lastNumber = answer.number;
  }
  const before = current?.app ?? null;
  current = chooseApp(look);
  if (current === null) {
    setText(byId("verdict"), "No app has events, and none is configured: set SOCKUDO_URL.");
    return;
  }
  const samples = histories.get(current.app).samples, sample = samples.at(-1);
  showFlow(current, sample, outboxOf(look, current)?.waiting ?? 0);
  showCharts(samples);
  showPanels(look, current);
  announce(showVerdict(current, sample));
  badge("nav-dead", current.totals.dead);
  badge("nav-scheduled", current.schedule.count);
  document.title = current.problems.length ? "(!) Sockudo Publisher" : "Sockudo Publisher";
  letters.showChosen();
  const counts = JSON.stringify([current.totals.dead, current.schedule.count]);
  if (before !== current.app) {
    letters.change();
    scheduled.load();
    audit.load();
  } else if (counts !== lastCounts && !document.querySelector("dialog[open]")) {
    letters.load();
    scheduled.load();
  }
  lastCounts = counts;
}

async function look() {
  timer = null;
  try {
    const answer = await get("look", {}, LOOK_TIMEOUT_MS);
    if (answer.look === null) {
      showAway(answer.error);
    } else {
      const wasAway = byId("link").dataset.state === "away";
      byId("link").dataset.state = "up";
      setText(byId("link-text"), "live");
      byId("away").hidden = true;
      showLook(answer);
      if (wasAway) loadLists();
    }
  } catch (error) {
    showAway(error.message);
  }
  plan();
}

// None while the page is hidden.
function plan() {
  if (timer === null && !document.hidden) timer = setTimeout(look, EVERY_MS);
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && timer === null) plan();
});
byId("app").addEventListener("change", (event) => {
  chosenApp = event.target.value;
  setText(byId("sending-result"), "");
});

byId("pause-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const reason = byId("pause-reason"), result = byId("sending-result");
  try {
    const done = await post("pause", { app: page.app(), reason: reason.value, actor: page.actor() });
    reason.value = "";
    say(result, done.before ? "The reason is changed." : "Paused. What was already sent is still resolved.", "good");
  } catch (error) {
    say(result, error.message, "bad");
  }
  page.acted();
});
byId("resume").addEventListener("click", async () => {
  const result = byId("sending-result");
  try {
    const done = await post("resume", { app: page.app(), actor: page.actor() });
    say(result, done.operator || done.trouble ? "Resumed." : "It was not paused.", "good");
  } catch (error) {
    say(result, error.message, "bad");
  }
  page.acted();
});

const actor = byId("actor");
try {
  actor.value = localStorage.getItem(ACTOR) ?? "";
} catch { /* the browser keeps nothing */ }
actor.addEventListener("change", () => {
  try {
    localStorage.setItem(ACTOR, actor.value);
  } catch { /* the browser keeps nothing */ }
});

look();

// What every look shows again: lanes, held channels, pauses, the dedup memory, workers, the outbox.
import { age, byId, cell, el, fill, number, outside, printable, setText, time } from "./dom.js";

const PAUSES = {
  unreachable: "Sockudo cannot be reached",
  unknown: "the result of a request to Sockudo is unknown",
  busy: "Sockudo takes no requests now",
  misconfigured: "Sockudo refuses the address, the app, its key or this clock",
};

const tag = (text, kind = "") => el("span", { class: `tag ${kind}` }, text);
const counted = (label, count, kind = "") => cell(label, number(count), count ? `n ${kind}` : "n zero");

const LANE_STATES = { unreadable: "bad", failing: "bad", draining: "good", waiting: "warn", rung: "" };

function laneState(lane) {
  if (lane.newer_version) return tag("for a newer worker", "bad");
  const text = lane.state === "failing" ? `failing: ${printable(lane.failure)}` : lane.state;
  return lane.state in LANE_STATES ? tag(text, LANE_STATES[lane.state]) : text;
}

function showLanes(app) {
  const rows = app.lanes.map((lane) => [lane.lane, lane.depth, lane.held, lane.dead, lane.oldest_age_s === null ? null : Math.round(lane.oldest_age_s * 10), lane.state, lane.failures]);
  fill(document.querySelector("#lanes tbody"), rows, () => {
    const made = app.lanes.map((lane) => el("tr", {}, cell("Lane", String(lane.lane)), counted("Waiting", lane.depth), counted("Held", lane.held),
      counted("Dead", lane.dead), cell("Oldest", age(lane.oldest_age_s), "n"), cell("State", laneState(lane))));
    const { totals } = app;
    made.push(el("tr", { class: "total" }, cell("Lane", "all"), counted("Waiting", totals.waiting), counted("Held", totals.held),
      counted("Dead", totals.dead), cell("Oldest", age(totals.oldest_age_s), "n"), cell("State", "")));
    return made;
  });
}

function showHeld(app) {
  byId("held-part").hidden = !app.held.length;
  fill(document.querySelector("#held tbody"), app.held, () => app.held.map((one) => {
    const what = el("span", {}, "the outcome of ", one.event ? outside(one.event) : "an event",
      one.failures ? ` (${number(one.failures)} failures: ${printable(one.failure)})` : "");
    return el("tr", {}, cell("Channel", outside(one.channel)), counted("Events", one.events), cell("Waits for", what),
      cell("Since", age(one.since_s), "n"), cell("Next try", one.retry_in_s ? `in ${age(one.retry_in_s)}` : "now", "n"));
  }));
}

function showPauses(app) {
  fill(byId("pauses"), [app.operator_pause, app.pause], () => {
    const made = [];
    const add = (name, ...value) => made.push(el("dt", {}, name), el("dd", {}, ...value));
    if (app.operator_pause) {
      add("State", tag("paused by an operator", "bad"));
      add("Reason", outside(app.operator_pause.reason));
      add("By", outside(app.operator_pause.by));
      add("Since", time(app.operator_pause.since_ms));
    }
    if (app.pause) {
      add("State", tag("paused: the server is in trouble", "bad"));
      add("Cause", PAUSES[app.pause.reason] ?? printable(app.pause.reason));
      if (app.pause.message) add("Answer", outside(app.pause.message));
      add("Since", time(app.pause.since_ms));
      add("Probed at", time(app.pause.until_ms));
    }
    if (!made.length) add("State", tag("events are sent", "good"));
    return made;
  });
  setText(byId("pause"), app.operator_pause ? "Change the reason" : "Pause");
  byId("resume").dataset.useful = app.operator_pause || app.pause ? "yes" : "no";
}

function showMemory(app) {
  setText(byId("memory"), printable(app.memory_text));
  byId("advice").hidden = !app.advice;
  setText(byId("advice"), printable(app.advice));
}

function showWorkers(app) {
  fill(byId("workers"), app.workers, () => {
    if (!app.workers.length) return [el("li", {}, tag("no worker runs", "bad"))];
    return app.workers.map((one) => el("li", {}, outside(one.node), " ",
      one.is_consuming === false ? tag("reads no doorbells", "bad") : "",
      el("small", {}, "to ", outside(`${one.target.host}, app ${one.target.app_id}`), ", since ", time(one.since_ms))));
  });
}

export const outboxOf = (look, app) => (look.outbox?.rows ?? []).find((one) => one.app === app.app);

function showOutbox(look, app) {
  byId("outbox-section").hidden = !look.outbox;
  if (!look.outbox) return;
  fill(byId("outbox"), [look.outbox, app.app], () => {
    if (!look.outbox.rows) return [el("dt", {}, "State"), el("dd", {}, tag("the database does not answer", "bad"))];
    const rows = outboxOf(look, app) ?? { waiting: 0, oldest_age_s: 0, parked: 0 };
    const facts = [["Waiting rows", number(rows.waiting)], ["Oldest", rows.waiting ? age(rows.oldest_age_s) : "–"], ["Parked, for a person", number(rows.parked)]];
    return facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]);
  });
}

export function showPanels(look, app) {
  showLanes(app);
  showHeld(app);
  showPauses(app);
  showMemory(app);
  showWorkers(app);
  showOutbox(look, app);
}

function moreProblems(app) {
  const found = app.unreadable.concat(...app.lanes.map((lane) => lane.unreadable));
  if (app.rival) found.push(app.rival);
  if (app.flip) found.push(`from ${app.flip.old} to ${app.flip.new} lanes: ${number(app.flip.waiting)} events of the old lanes are delivered first`);
  return found;
}

export function showVerdict(app, sample) {
  const verdict = byId("verdict"), list = byId("problems");
  const texts = [...app.problems.map((one) => one.text), ...moreProblems(app)];
  const serious = app.problems.some((one) => one.name !== "dead");
  let [state, text] = ["good", app.totals.backlog || sample.stored || sample.delivered ? "Events flow." : "All is well. Nothing waits."];
  if (!app.workers.length) [state, text] = ["bad", "No worker runs: events wait."];
  else if (app.operator_pause) [state, text] = ["bad", "Paused by an operator."];
  else if (app.pause) [state, text] = ["bad", "Paused: the server is in trouble."];
  else if (serious) [state, text] = ["bad", "Something needs a person."];
  else if (texts.length) [state, text] = ["warn", "Events flow. Dead letters need a person."];
  verdict.dataset.state = state;
  setText(verdict, text);
  list.hidden = !texts.length;
  fill(list, texts, () => texts.map((one) => el("li", {}, printable(one))));
  return text;
}

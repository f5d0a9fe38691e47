// Lists that are loaded when they change: scheduled events, with their cancellation, and the audit.
import { byId, cell, el, number, outside, printable, replaceRows, say, time } from "./dom.js";
import { get, post } from "./server.js";

export function makeScheduled(page) {
  const body = document.querySelector("#scheduled tbody"), result = byId("scheduled-result");
  let run = 0;

  function row(event) {
    const state = event.is_parked ? el("span", { class: "tag bad" }, "parked: its key was used meanwhile") : time(event.due_ms);
    const name = `${printable(event.event)} on ${printable(event.channel)}`;
    const button = el("button", { type: "button", "aria-label": `Cancel ${name}`, disabled: page.isReadOnly || event.is_being_stored, onclick: () => cancel(event, name) }, "Cancel");
    return el("tr", { "data-id": event.id }, cell("Due", state, "time"), cell("Channel", outside(event.channel)), cell("Event", outside(event.event)), cell("", button));
  }

  async function load() {
    const mine = ++run, app = page.app();
    if (app === null) return;
    try {
      const answer = await get("scheduled", { app });
      if (mine !== run) return;
      replaceRows(body, answer.scheduled.map(row));
      const empty = byId("scheduled-empty"), count = answer.scheduled.length;
      empty.hidden = count > 0 && !answer.has_more;
      empty.textContent = answer.has_more ? `The first ${number(count)}; there are more.` : "Nothing is scheduled.";
    } catch (error) {
      if (mine === run) say(result, `Not loaded: ${error.message}`, "bad");
    }
  }

  async function cancel(event, name) {
    const yes = await page.confirm({ title: "Cancel a scheduled event", text: `${name} will not be delivered, on none of its channels.`, yes: "Cancel the event", isDangerous: true });
    if (!yes) return;
    try {
      const done = await post("cancel", { app: event.app, id: event.id, actor: page.actor() });
      const text = done.is_cancelled ? "Cancelled." : done.too_late.length ? "Too late: a worker is storing it." : "It is not scheduled any more.";
      say(result, text, done.is_cancelled ? "good" : "bad");
    } catch (error) {
      say(result, error.message, "bad");
    }
    page.acted();
    await load();
  }

  byId("scheduled-refresh").addEventListener("click", () => { say(result, ""); load(); });
  return { load };
}

export function makeAudit(page) {
  const body = document.querySelector("#audit tbody");
  let run = 0;

  const counts = (entry) => {
    if (entry.counts === null) return "–";
    const named = Object.entries(entry.counts).filter(([, count]) => count);
    return named.map(([name, count]) => `${number(count)} ${printable(name)}`).join(", ") || "nothing";
  };

  async function load() {
    const mine = ++run, app = page.app();
    if (app === null) return;
    try {
      const answer = await get("audit", { app, limit: 50 });
      if (mine !== run) return;
      body.replaceChildren(...answer.entries.map((one) => el("tr", {}, cell("When", time(one.at_ms), "time"), cell("Who", outside(one.by)),
        cell("What", el("span", {}, el("strong", {}, printable(one.action)), " ", outside(one.what))), cell("Result", counts(one)))));
      byId("audit-empty").hidden = answer.entries.length > 0;
      byId("audit-empty").textContent = "No action yet.";
    } catch (error) {
      if (mine !== run) return;
      byId("audit-empty").hidden = false;
      byId("audit-empty").textContent = `Not loaded: ${error.message}`;
    }
  }

  byId("audit-refresh").addEventListener("click", load);
  return { load };
}

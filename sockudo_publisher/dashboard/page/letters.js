// Dead letters: filter, look, replay and purge with a preview.
import { byId, bytes, cell, el, number, outside, plural, printable, replaceRows, say, time, when } from "./dom.js";
import { get, post } from "./server.js";

const MAX_SHOWN = 200;
const MAX_NAMED = 20;

export function makeLetters(page) {
  const body = document.querySelector("#letters tbody"), result = byId("letters-result"), chosen = new Set();
  let shown = [], run = 0;

  const filter = () => ({
    reason: byId("f-reason").value, channel: byId("f-channel").value, event: byId("f-event").value, older_than_s: byId("f-age").value,
  });
  const givenFilter = () => Object.fromEntries(Object.entries(applied).filter(([, value]) => value !== ""));
  let applied = filter();

  function showChosen() {
    const text = chosen.size ? `${number(chosen.size)} selected.`
      : Object.keys(givenFilter()).length ? "Nothing selected: the buttons mean all that the filter finds."
        : "Nothing selected: the buttons mean all dead letters of the app.";
    byId("chosen").textContent = text;
    const all = byId("select-all");
    all.checked = shown.length > 0 && chosen.size === shown.length;
    all.indeterminate = chosen.size > 0 && !all.checked;
    all.disabled = !shown.length;
    for (const id of ["replay", "purge"]) byId(id).disabled = page.isReadOnly || !shown.length;
  }

  function row(letter) {
    const name = `${letter.reason}, ${printable(letter.channel)}, ${printable(letter.name)}`;
    const box = el("input", { type: "checkbox", "aria-label": `Select ${name}`, onchange: () => {
      if (box.checked) chosen.add(letter.id); else chosen.delete(letter.id);
      showChosen();
    } });
    box.checked = chosen.has(letter.id);
    const kind = letter.reason === "unreadable" || letter.reason === "uncertain" ? "bad" : "warn";
    const died = el("span", {}, time(letter.dead_ms), letter.maybe_delivered ? el("span", { class: "hint" }, " may have arrived") : "");
    return el("tr", { "data-id": letter.id }, cell("Select", box), cell("Reason", el("span", { class: `tag ${kind}` }, printable(letter.reason))),
      cell("Channel", outside(letter.channel)), cell("Event", outside(letter.name)), cell("Died", died, "time"),
      cell("Tries", number(letter.attempts), "n"), cell("Size", bytes(letter.size), "n"),
      cell("", el("button", { type: "button", "aria-label": `Look at ${name}`, onclick: () => look(letter) }, "Look")));
  }

  async function load() {
    const mine = ++run, app = page.app();
    if (app === null) return;
    applied = filter();
    try {
      const answer = await get("letters", { app, limit: MAX_SHOWN, ...applied });
      if (mine !== run) return;
      shown = answer.letters;
      const ids = new Set(shown.map((one) => one.id));
      for (const id of chosen) if (!ids.has(id)) chosen.delete(id);
      replaceRows(body, shown.map(row));
      const empty = byId("letters-empty");
      empty.hidden = shown.length > 0 && !answer.has_more;
      empty.textContent = answer.has_more ? `The oldest ${number(shown.length)}; there are more.`
        : Object.keys(givenFilter()).length ? "No dead letter fits the filter." : "No dead letters.";
      showChosen();
    } catch (error) {
      if (mine === run) say(result, `Not loaded: ${error.message}`, "bad");
    }
  }

  function look(letter) {
    const facts = [["Reason", letter.reason], ["Server's text", letter.message || "–"], ["Channel", letter.channel], ["Event", letter.name],
      ["Message id", letter.message_id], ["Id", letter.id], ["First try", letter.first_ms ? when(letter.first_ms) : letter.maybe_delivered ? "unknown" : "never"],
      ["Died", when(letter.dead_ms)], ["Tries", number(letter.attempts)], ["Size", bytes(letter.size)],
      ["May have arrived", letter.maybe_delivered ? "yes" : "no"], ["Can be replayed", letter.is_replayable ? "yes" : "no"]];
    byId("letter-facts").replaceChildren(...facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, outside(value))]));
    const payload = byId("letter-payload"), note = byId("letter-note"), button = byId("letter-load");
    payload.hidden = true;
    payload.textContent = "";
    note.hidden = button.hidden = false;
    note.textContent = "The payload is not loaded. It may hold personal data.";
    button.onclick = async () => {
      try {
        const answer = await get("payload", { app: letter.app, id: letter.id });
        payload.textContent = answer.text;
        payload.hidden = false;
        button.hidden = true;
        note.hidden = !answer.is_cut;
        note.textContent = "Only the beginning is shown.";
        payload.focus();
      } catch (error) {
        note.textContent = `Not loaded: ${error.message}`;
      }
    };
    const dialog = byId("letter");
    dialog.onclose = () => { payload.textContent = ""; };
    dialog.showModal();
    byId("letter-close").focus();
  }

  function selection() {
    const given = givenFilter();
    if (chosen.size) return { ids: [...chosen] };
    return Object.keys(given).length ? given : { all: true };
  }

  const refusals = (answer) => {
    if (!answer.refused_count) return null;
    const named = answer.refused.slice(0, MAX_NAMED).map((one) => el("li", {}, el("span", { class: "mono" }, printable(one.id)), " ",
      one.reason ? el("span", { class: "tag warn" }, printable(one.reason)) : "", el("small", {}, printable(one.why))));
    const left = answer.refused_count - named.length;
    if (left > 0) named.push(el("li", {}, `and ${number(left)} more`));
    return el("ul", { class: "list" }, ...named);
  };

  async function act(action) {
    const isPurge = action === "purge";
    const values = { app: page.app(), actor: page.actor(), new_id: byId("new-id").checked, ...selection() };
    say(result, "Counting …");
    try {
      const preview = await post("preview", { action, ...values });
      say(result, "");
      const what = plural(preview.count, "dead letter");
      const refused = preview.refused_count ? ` ${number(preview.refused_count)} will be refused and stay:` : "";
      const text = isPurge ? `${what} will be deleted for good.${refused}`
        : `${what} will be queued again, behind the waiting events of their channels.${refused}`;
      const yes = await page.confirm({ title: isPurge ? "Purge dead letters" : "Replay dead letters", text, more: refusals(preview),
        yes: isPurge ? `Purge ${number(preview.count)}` : `Replay ${number(preview.count)}`, isDangerous: isPurge, isPossible: preview.count > 0 });
      if (!yes) return;
      const done = await post(action, values);
      const rest = [done.refused_count ? `${number(done.refused_count)} refused` : "", done.absent.length ? `${number(done.absent.length)} were gone` : ""];
      say(result, [`${isPurge ? "Purged" : "Replayed"} ${number(done.count)}.`, ...rest.filter(Boolean)].join(" "), done.refused_count ? "bad" : "good");
      chosen.clear();
      page.acted();
      await load();
    } catch (error) {
      say(result, error.message, "bad");
    }
  }

  byId("filter").addEventListener("submit", (event) => { event.preventDefault(); chosen.clear(); say(result, ""); load(); });
  byId("f-clear").addEventListener("click", () => { byId("filter").reset(); chosen.clear(); say(result, ""); load(); });
  byId("select-all").addEventListener("change", (event) => {
    for (const one of shown) if (event.target.checked) chosen.add(one.id); else chosen.delete(one.id);
    replaceRows(body, shown.map(row));
    showChosen();
  });
  byId("replay").addEventListener("click", () => act("replay"));
  byId("purge").addEventListener("click", () => act("purge"));

  return {
    load,
    change() { chosen.clear(); shown = []; body.replaceChildren(); say(result, ""); showChosen(); return load(); },
    showChosen,
  };
}

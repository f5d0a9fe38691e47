// The picture: callers -> lanes -> workers -> Sockudo, with rates and depths. Wide, or tall on a narrow screen.
import { age, number, plural, rate, setClass, setText, svg } from "./dom.js";

const MAX_BARS = 32;

const WIDE = {
  size: [1000, 216],
  boxes: { callers: [8, 24, 178, 116], lanes: [266, 8, 232, 148], workers: [578, 24, 164, 116], sockudo: [822, 24, 170, 116] },
  pipes: { store: "M194 82 H258", take: "M506 82 H570", send: "M750 82 H814" },
  stops: [538, 82],
  held: { box: [282, 176, 200, 34], branch: "M382 156 V176" },
  dead: { box: [560, 176, 200, 34], branch: "M660 140 V176" },
};
const TALL = {
  size: [340, 668],
  boxes: { callers: [8, 8, 324, 112], lanes: [8, 160, 324, 148], workers: [8, 410, 324, 96], sockudo: [8, 548, 324, 112] },
  pipes: { store: "M170 126 V154", take: "M170 362 V404", send: "M170 512 V542" },
  stops: [170, 383],
  held: { box: [8, 320, 156, 34], branch: "M86 308 V320" },
  dead: { box: [176, 320, 156, 34], branch: "M254 308 V320" },
};

function node(name, [x, y, width, height]) {
  const box = svg("rect", { class: "box", x, y, width, height, rx: 12 });
  const text = (kind, dy) => svg("text", { class: kind, x: x + 16, y: y + dy });
  const title = text("name", 26), big = text("big", 58), first = text("small", 80), second = text("small", 98);
  title.textContent = name;
  return { box, big, first, second, parts: [box, title, big, first, second] };
}

function pill([x, y, width, height]) {
  const box = svg("rect", { class: "box", x, y, width, height, rx: height / 2 });
  const text = svg("text", { class: "small", x: x + width / 2, y: y + height / 2 + 4.5, "text-anchor": "middle" });
  return { box, text, parts: [box, text] };
}

function build(form) {
  const callers = node("Callers", form.boxes.callers), lanes = node("Lanes", form.boxes.lanes);
  const workers = node("Workers", form.boxes.workers), sockudo = node("Sockudo", form.boxes.sockudo);
  const held = pill(form.held.box), dead = pill(form.dead.box);
  const streams = {}, pipes = [];
  for (const [name, path] of Object.entries(form.pipes)) {
    streams[name] = svg("path", { class: "stream", d: path });
    pipes.push(svg("path", { class: "pipe", d: path }), streams[name]);
  }
  const [sx, sy] = form.stops;
  const stop = svg("g", {}, svg("circle", { class: "stop-sign", cx: sx, cy: sy, r: 15 }),
    svg("rect", { class: "stop", x: sx - 5.5, y: sy - 6, width: 4, height: 12, rx: 1 }),
    svg("rect", { class: "stop", x: sx + 1.5, y: sy - 6, width: 4, height: 12, rx: 1 }));
  const bars = svg("g", {});
  const picture = svg("svg", { viewBox: `0 0 ${form.size.join(" ")}`, role: "img" },
    ...pipes, svg("path", { class: "branch", d: form.held.branch }), svg("path", { class: "branch", d: form.dead.branch }),
    ...[callers, lanes, workers, sockudo, held, dead].flatMap((one) => one.parts), bars, stop);
  return { form, picture, callers, lanes, workers, sockudo, held, dead, streams, stop, bars };
}

function drawBars(group, [x, y, width], lanes) {
  const shown = lanes.slice(0, MAX_BARS), most = Math.max(1, ...shown.map((one) => one.depth + one.held));
  if (group.childElementCount !== shown.length * 3) {
    group.replaceChildren(...shown.flatMap(() => [svg("rect", { class: "lane" }), svg("rect", { class: "fill" }), svg("rect", { class: "fill held" })]));
  }
  const room = width - 32, step = room / Math.max(8, shown.length), bar = Math.max(2, step - 4), height = 26;
  shown.forEach((lane, index) => {
    const of = (count) => (count ? Math.max(2, (count / most) * height) : 0);
    const deep = of(lane.depth), held = of(lane.held), left = x + 16 + index * step, foot = y + 136;
    [[foot - height, height], [foot - deep, deep], [foot - Math.min(height, deep + held), held]].forEach(([top, tall], part) => {
      const rect = group.children[index * 3 + part];
      for (const [name, value] of Object.entries({ x: left, y: top, width: bar, height: tall, rx: 2 })) rect.setAttribute(name, value);
    });
  });
}

const VERDICTS = { remembers: ["remembers ids", "good"], forgets: ["forgets ids", "bad"], unknown: ["not measured yet", ""] };

export function makeFlow(parent) {
  const narrow = matchMedia("(max-width: 700px)");
  let built, last;
  const rebuild = () => {
    built = build(narrow.matches ? TALL : WIDE);
    parent.replaceChildren(built.picture);
    if (last) show(...last);
  };

  function show(app, sample, outboxRows) {
    last = [app, sample, outboxRows];
    const { totals, schedule } = app, paused = app.operator_pause || app.pause;
    const stored = sample.stored ?? 0, delivered = sample.delivered ?? 0;
    setText(built.callers.big, `${rate(sample.stored)} /s`);
    setText(built.callers.first, "stored");
    const extra = [schedule.count ? `${number(schedule.count)} scheduled` : "", outboxRows ? `${number(outboxRows)} in the outbox` : ""];
    setText(built.callers.second, extra.filter(Boolean).join(", "));

    setText(built.lanes.big, number(totals.backlog));
    setText(built.lanes.first, totals.backlog ? `waiting, the oldest ${age(totals.oldest_age_s)}` : "nothing waits");
    drawBars(built.bars, built.form.boxes.lanes, app.lanes);

    const workers = app.workers.length;
    setText(built.workers.big, number(workers));
    setClass(built.workers.big, workers ? "big" : "big bad");
    setClass(built.workers.box, workers ? "box" : "box bad");
    setText(built.workers.first, workers ? `draining ${plural(totals.draining, "lane")}` : "no worker runs");

    const [verdict, kind] = VERDICTS[app.memory.verdict] ?? VERDICTS.unknown;
    setText(built.sockudo.big, `${rate(sample.delivered)} /s`);
    setText(built.sockudo.first, "delivered");
    setText(built.sockudo.second, verdict);
    setClass(built.sockudo.second, `small ${kind}`);

    setText(built.held.text, totals.held ? `${number(totals.held)} held` : "none held");
    setClass(built.held.text, totals.held ? "small warn" : "small");
    setClass(built.held.box, totals.held ? "box warn" : "box");
    setText(built.dead.text, totals.dead ? plural(totals.dead, "dead letter") : "no dead letters");
    setClass(built.dead.text, totals.dead ? "small bad" : "small");
    setClass(built.dead.box, totals.dead ? "box bad" : "box");

    setClass(built.streams.store, stored > 0 ? "stream moves" : "stream");
    setClass(built.streams.take, delivered > 0 && !paused ? "stream moves" : "stream");
    setClass(built.streams.send, delivered > 0 ? "stream moves" : "stream");
    built.stop.setAttribute("visibility", paused ? "visible" : "hidden");
    built.picture.setAttribute("aria-label",
      `Callers store ${rate(sample.stored)} events a second. ${plural(totals.backlog, "event")} in ${plural(app.lanes.length, "lane")}, ` +
      `${number(totals.held)} of them held. ${plural(workers, "worker")}. ${rate(sample.delivered)} events a second are delivered to Sockudo. ` +
      `${plural(totals.dead, "dead letter")}.${paused ? " The app is paused." : ""}`);
  }

  narrow.addEventListener("change", rebuild);
  rebuild();
  return show;
}

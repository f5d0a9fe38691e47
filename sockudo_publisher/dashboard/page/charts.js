// Small charts of the last minutes. Their data is in this page's memory alone.
import { age, el, number, rate, setText, svg } from "./dom.js";

export const MAX_SAMPLES = 300;
// Looks over which a rate is computed: workers settle in batches, so that one second alone jumps.
const RATE_LOOKS = 5;
const WIDTH = 300, HEIGHT = 84;

// The samples of one app.
export class History {
  constructor() {
    this.looks = [];
    this.samples = [];
  }

  // `totals` of one look, at `atMs` of this page's clock.
  add(totals, atMs) {
    const last = this.looks.at(-1);
    // Counters that go back belong to another Redis; a long gap is no rate.
    if (last && (totals.ended < last.ended || atMs - last.atMs > 15000)) this.looks = [];
    this.looks.push({ ...totals, atMs });
    if (this.looks.length > RATE_LOOKS + 1) this.looks.shift();
    const first = this.looks[0];
    const seconds = (atMs - first.atMs) / 1000;
    const sample = { atMs, backlog: totals.backlog, oldest: totals.oldest_age_s ?? 0, stored: null, delivered: null, mean: null };
    if (seconds > 0.5) {
      const ended = totals.ended - first.ended;
      sample.delivered = (totals.delivered - first.delivered) / seconds;
      sample.stored = Math.max(0, ended + totals.backlog - first.backlog) / seconds;
      const backlog = this.looks.reduce((sum, one) => sum + one.backlog, 0) / this.looks.length;
      // Little's law: the mean time in a queue is its mean length divided by its rate.
      sample.mean = ended > 0 ? backlog / (ended / seconds) : backlog ? null : 0;
    }
    this.samples.push(sample);
    if (this.samples.length > MAX_SAMPLES) this.samples.shift();
    return sample;
  }
}

const CHARTS = [
  { title: "Events a second", series: [["stored", "stored", "a"], ["delivered", "delivered", "b"]], show: rate },
  { title: "Backlog", series: [["backlog", "waiting and held", "a"]], show: number, area: true },
  { title: "Time in the journal", series: [["mean", "mean", "a"], ["oldest", "oldest", "b"]], show: age },
];

export function makeCharts(parent) {
  const made = CHARTS.map(({ title, series, show, area }) => {
    const values = series.map(([, name, key]) => {
      const value = el("b", {}, "–");
      return { value, node: el("span", {}, el("span", { class: `key ${key}`, "aria-hidden": "true" }), value, name) };
    });
    const lines = series.map(([, , key]) => svg("polyline", { class: key }));
    const ground = svg("polygon");
    const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" },
      svg("line", { x1: 0, x2: WIDTH, y1: HEIGHT, y2: HEIGHT }), svg("line", { x1: 0, x2: WIDTH, y1: 0, y2: 0 }),
      ...(area ? [ground] : []), ...lines);
    const most = el("span", { class: "most" }), start = el("span");
    parent.append(el("section", { class: "chart" },
      el("h3", {}, title), el("p", { class: "legend" }, ...values.map((one) => one.node)),
      el("div", { class: "plot" }, picture, most, el("p", { class: "span", "aria-hidden": "true" }, start, el("span", {}, "now")))));
    return { series, show, values, lines, ground: area ? ground : null, most, start };
  });

  return (samples) => {
    const last = samples.at(-1);
    for (const chart of made) {
      const names = chart.series.map(([name]) => name);
      const top = Math.max(0, ...samples.flatMap((one) => names.map((name) => one[name] ?? 0)));
      const nowMs = last ? last.atMs : 0, spanMs = Math.max(60000, last ? nowMs - samples[0].atMs : 0);
      names.forEach((name, index) => {
        const points = samples.filter((one) => one[name] !== null)
          .map((one) => [WIDTH - ((nowMs - one.atMs) / spanMs) * WIDTH, HEIGHT - (top ? one[name] / top : 0) * (HEIGHT - 4)]);
        const text = points.map((point) => point.map((part) => part.toFixed(1)).join(",")).join(" ");
        chart.lines[index].setAttribute("points", text);
        if (chart.ground) {
          const ends = points.length ? ` ${points.at(-1)[0].toFixed(1)},${HEIGHT} ${points[0][0].toFixed(1)},${HEIGHT}` : "";
          chart.ground.setAttribute("points", text + ends);
        }
        setText(chart.values[index].value, last && last[name] !== null ? chart.show(last[name]) : "–");
      });
      setText(chart.most, top ? chart.show(top) : "");
      setText(chart.start, `${Math.round(spanMs / 60000)} min ago`);
    }
  };
}

"""The page `results.md`: each target, its measurement, hit or missed, and the time of each step. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from .backlog import Backlog
from .client import BATCH, PEERS_OF_THE_CLIENT, Called
from .cold import Cold
from .coroutines import CALLERS, Coroutines
from .drained import Drained
from .enqueueing import Enqueued
from .holds import Holds
from .imports import COMMANDS, SIDES, Imported
from .latency import RATES, Latencies
from .ratios import Spread, of_pairs, percentile, spread
from .scheduled import Scheduled
from .steps import STEPS, Steps
from .telemetry import Telemetry

__all__ = ["Facts", "Results", "Row", "page", "rows"]


@dataclass(frozen=True)
class Facts:
    """The versions and the machine of a run: no host names, no paths."""

    date: str
    command: str
    machine: str
    versions: Mapping[str, str]
    plan: str
    driver: str
    item_bytes: int
    data_bytes: int
    channels: int
    spins_ms: Sequence[float]
    load: float
    seconds: float


@dataclass
class Results:
    """The measurements; ``None``: not measured."""

    steps: Steps | None = None
    imports: Imported | None = None
    client: Called | None = None
    enqueue: Enqueued | None = None
    coroutines: Coroutines | None = None
    latency: Latencies | None = None
    cold: Cold | None = None
    drained: Drained | None = None
    holds: Holds | None = None
    backlog: Backlog | None = None
    telemetry: Telemetry | None = None
    scheduled: Scheduled | None = None


@dataclass(frozen=True)
class Row:
    """One target, what was measured, and whether the median, every pair and any pair reach it."""

    what: str
    target: str
    measured: str
    median_meets: bool
    all_meet: bool
    any_meets: bool

    @property
    def verdict(self) -> str:
        """A median alone says little where the pairs disagree about the target."""
        if self.median_meets:
            return "met" if self.all_meet else "met by the median, not by every pair"
        return "**missed**" if not self.any_meets else "**missed** by the median, met by some pairs"


def at_least(what: str, target: str, ratio: Spread, least: float, text: str) -> Row:
    """A row whose ratio has to be large enough."""
    return Row(what, target, text, ratio.middle >= least, ratio.low >= least, ratio.high >= least)


def at_most(what: str, target: str, value: Spread, most: float, text: str) -> Row:
    """A row whose value has to be small enough."""
    return Row(what, target, text, value.middle <= most, value.high <= most, value.low <= most)


def rows(results: Results) -> list[Row]:
    """Every target that this run says something about."""
    found: list[Row] = []
    if results.drained is not None:
        rates = results.drained.rates
        ceiling = of_pairs(rates["ours"], rates["ceiling 500"])
        what = "drained, beside the ceiling at batch 500"
        if ceiling.high > 1:  # a ceiling that is passed is none: such a run says nothing about this target
            text = f"{_percent(ceiling)}: above 100 % it is no ceiling, not valid"
            found.append(Row(what, ">= 60 %", text, median_meets=False, all_meet=False, any_meets=False))
        else:
            found.append(at_least(what, ">= 60 %", ceiling, 0.60, _percent(ceiling)))
        for module, name, least in (
            ("per_event", "a Celery task per event", 60.0),
            ("in_batches", "celery-batches", 25.0),
        ):
            ratio = of_pairs(rates["ours"], rates[results.drained.better(module)])
            found.append(at_least(f"drained, beside {name}", f">= {least:g}x", ratio, least, ratio.text(0, "x")))
    if results.enqueue is not None:
        wall = results.enqueue.wall_us
        for side, name, least in (("delay", "`publish.delay`", 3.5), ("many", "`publish_many`", 60.0)):
            ratio = of_pairs(wall["celery"], wall[side])
            text = ratio.text(1, "x")
            found.append(at_least(f"{name}, beside Celery's own `delay`", f">= {least:g}x", ratio, least, text))
    if results.coroutines is not None:
        found += _coroutine_rows(results.coroutines)
    if results.imports is not None:
        found += _import_rows(results.imports)
    if results.client is not None:
        for kind, name in (("trigger", "`trigger`"), ("trigger_batch", f"`trigger_batch` of {BATCH}")):
            for peer in PEERS_OF_THE_CLIENT:
                cpu = results.client.cpu_us[kind]
                ratio = of_pairs(cpu[peer], cpu["ours"])
                what = f"our client's {name}, CPU beside `{peer}`"
                found.append(at_least(what, ">= 1x as fast", ratio, 1.0, ratio.text(2, "x")))
    if results.latency is not None:
        found += [_latency_row(results.latency, rate) for rate in RATES]
    if results.cold is not None:
        found.append(_cold_row(results.cold))
    if results.holds is not None:
        ratio = of_pairs(results.holds.held, results.holds.free)
        what = "drained with 1 channel of 64 held, beside none"
        found.append(at_least(what, ">= 90 %", ratio, 0.90, _percent(ratio)))
    if results.backlog is not None and results.backlog.deep:
        ratio = of_pairs(results.backlog.deep, results.backlog.shallow)
        what = f"drained with {results.backlog.depth:,} waiting, beside 10,000"
        found.append(at_least(what, "within 10 %", ratio, 0.90, _percent(ratio)))
    if results.telemetry is not None:
        found += _telemetry_rows(results.telemetry)
    if results.scheduled is not None:
        late = spread(results.scheduled.late_p50_ms)
        what = f"late at the median, with {results.scheduled.waiting:,} scheduled events waiting"
        found.append(at_most(what, "<= 100 ms", late, 100.0, late.text(0, " ms")))
    memory = _memory(results)
    if memory is not None:
        found.append(memory)
    return found


def _telemetry_rows(measured: Telemetry) -> list[Row]:
    calls = measured.call_us
    extra = spread([on - off for on, off in zip(calls["on"], calls["off"], strict=True)])
    alone = spread(measured.added_us)
    found = [
        at_most("metrics on: what `publish.delay` does more, alone", "< 3 us", alone, 3, alone.text(2, " us")),
        at_most("metrics on: CPU of `publish.delay` beside off", "< 3 us more", extra, 3, extra.text(1, " us")),
    ]
    for what, rates, cpu_us in (
        ("", measured.drained, measured.worker_us),
        (", entries of one event", measured.singles, measured.worker_singles_us),
    ):
        ratio = of_pairs(rates["on"], rates["off"])
        found.append(at_least(f"metrics on: drained beside off{what}", ">= 98 %", ratio, 0.98, _percent(ratio)))
        cpu = of_pairs(cpu_us["on"], cpu_us["off"])
        found.append(at_most(f"metrics on: the worker's CPU beside off{what}", "<= 102 %", cpu, 1.02, _percent(cpu)))
    return found


def _percent(ratio: Spread) -> str:
    return f"{ratio.middle:.0%} ({ratio.low:.0%} to {ratio.high:.0%})"


def _latency_row(latency: Latencies, rate: int) -> Row:
    ours, direct = latency.p50_ms[rate]["delay"], latency.p50_ms[rate]["trigger"]
    what = f"p50 from call to subscriber at {rate}/s"
    if rate >= 300:
        ratio = of_pairs(ours, direct)
        return at_most(what, "<= 3x a direct `trigger`", ratio, 3, ratio.text(2, "x"))
    extra = spread([mine - other for mine, other in zip(ours, direct, strict=True)])
    text = f"{extra.middle:+.1f} ms ({extra.low:+.1f} to {extra.high:+.1f})"
    return at_most(what, "<= a direct `trigger` + 2 ms", extra, 2, text)


def _cold_row(cold: Cold) -> Row:
    """Of single events, as there is one cold event in ten seconds: quarters of them stand for pairs."""
    ours, direct = _medians(cold.ms["cold"]), _medians(cold.ms["direct"])
    extra = spread([mine - other for mine, other in zip(ours, direct, strict=True)])
    text = f"{extra.middle:+.1f} ms ({extra.low:+.1f} to {extra.high:+.1f})"
    return at_most("p50 from call to subscriber on a quiet lane", "<= a direct `trigger` + 4 ms", extra, 4, text)


def _medians(times: Sequence[float], parts: int = 4) -> list[float]:
    """The medians of the first part of the times, of the second, and so on."""
    size = max(1, len(times) // parts)
    return [percentile(times[start : start + size], 0.5) for start in range(0, len(times) - size + 1, size)]


def _coroutine_rows(measured: Coroutines) -> list[Row]:
    rates, found = measured.rates, []
    for callers, least in ((100, 5.0), (1000, 8.0)):
        ratio = of_pairs(rates["adelay", callers], rates["to_thread", callers])
        what = f"`publish.adelay`, {callers:,} callers, beside `to_thread(publish.delay)`"
        found.append(at_least(what, f">= {least:g}x", ratio, least, ratio.text(1, "x")))
    extra = _extra_ms(measured.p50_ms, "adelay", "delay")
    what = "p50 of `publish.adelay` with one caller"
    found.append(at_most(what, "<= `publish.delay` + 0.15 ms", extra, 0.15, f"{extra.text(2, ' ms')} more"))
    stall = _extra_ms(measured.stall_ms, "adelay", "idle")
    what = "stall of the loop at p99, 1,000 callers, beyond the loop without us"
    found.append(at_most(what, "<= 20 ms", stall, 20, stall.text(1, " ms")))
    frozen, held = spread(measured.frozen_s), spread(measured.frozen_stall_ms)
    text = f"{frozen.text(2, ' s')}; the loop held for {held.text(0, ' ms')}"
    found.append(at_most("Redis frozen: 200 calls at once have all raised", "<= 2 s", frozen, 2.0, text))
    back = spread(measured.back)
    what = "Redis back: rate from 1 s to 2 s after it, beside the full rate"
    found.append(at_least(what, ">= 80 %", back, 0.8, _percent(back)))
    return found


def _import_rows(imported: Imported) -> list[Row]:
    cpu = imported.cpu_ms
    package, client = _extra_ms(cpu, "package", "nothing"), _extra_ms(cpu, "client", "requests")
    first = of_pairs(cpu["first delay"], cpu["libraries"])
    libraries = f"`{SIDES['libraries']}`"
    return [
        at_most(f"`{SIDES['package']}`, CPU", "<= 30 ms", package, 30, package.text(0, " ms")),
        at_most(f"`{SIDES['client']}`, CPU", "<= `import requests` + 60 ms", client, 60, client.text(0, " ms")),
        at_most(
            f"first `publish.delay` of a process, CPU beside {libraries}", "<= 1.25x", first, 1.25, first.text(2, "x")
        ),
        *[
            at_most(f"`sockudo-publisher {name}`, CPU", "<= `import redis` + 150 ms", extra, 150, extra.text(0, " ms"))
            for name in COMMANDS
            for extra in [_extra_ms(cpu, name, "redis")]
        ],
    ]


def _extra_ms(cpu_ms: Mapping[str, Sequence[float]], side: str, beside: str) -> Spread:
    return spread([mine - other for mine, other in zip(cpu_ms[side], cpu_ms[beside], strict=True)])


#: MB by which a worker may have grown from the middle of a drain to its end and still count as flat.
FLAT_MB = 5.0


def _memory(results: Results) -> Row | None:
    if results.backlog is not None and len(results.backlog.tenths) > 2:
        seen = [tenth.rss_mb for tenth in results.backlog.tenths]
        what, shown = "worker memory over a drain of the deep backlog", [(seen[0], seen[len(seen) // 2], seen[-1])]
    elif results.drained is not None and results.drained.rss_mb:
        what, shown = "worker memory at 10 / 50 / 90 % of a drain", results.drained.rss_mb
    else:
        return None
    growth = spread([end - middle for _, middle, end in shown])
    text = " / ".join(f"{median(column):.0f}" for column in zip(*shown, strict=True))
    return at_most(what, f"flat (end within {FLAT_MB:.0f} MB of the middle)", growth, FLAT_MB, f"{text} MB")


def _scheduled(one: Scheduled) -> str:
    p95 = spread(one.late_p95_ms)
    return (
        f"## Scheduled events\n\n{one.waiting:,} events wait. Each costs Redis {one.redis_bytes:,.0f} bytes, of which "
        f"{one.event_bytes:,.0f} are the event itself. A call takes {one.call_us:,.0f} us at the median. "
        f"Others fall due meanwhile, and arrive {spread(one.late_p50_ms).text(0, ' ms')} late at the median, "
        f"{p95.text(0, ' ms')} at p95, over {p95.count} blocks.\n"
    )


def page(results: Results, facts: Facts) -> str:
    """The whole page, as Markdown."""
    parts = [_head(facts), _targets(rows(results))]
    if results.drained is not None:
        parts.append(_drained(results.drained))
    if results.scheduled is not None:
        parts.append(_scheduled(results.scheduled))
    if results.enqueue is not None:
        parts.append(_enqueued(results.enqueue))
    if results.coroutines is not None:
        parts.append(_from_coroutines(results.coroutines))
    if results.imports is not None:
        parts.append(_imported(results.imports))
    if results.client is not None:
        parts.append(_called(results.client))
    if results.latency is not None:
        parts.append(_latencies(results.latency))
    if results.cold is not None:
        parts.append(_cold(results.cold))
    if results.backlog is not None:
        parts.append(_backlog(results.backlog))
    if results.steps is not None:
        parts.append(_steps(results.steps))
    return "\n\n".join(parts) + "\n"


def _head(facts: Facts) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in facts.versions.items())
    low, middle, high = (percentile(facts.spins_ms, share) for share in (0.1, 0.5, 0.9))
    lines = [
        "# Speed, measured",
        "",
        f"Written by `{facts.command}` on {facts.date} ({facts.plan} run, {facts.seconds / 60:.0f} minutes). How it",
        "measures, and how to read it: [docs/performance.md](../docs/performance.md). The ratios are what this page is",
        "for: absolute numbers are this machine's.",
        "",
        f"- Machine: {facts.machine}; load {facts.load:.1f} when it began. Noise: a fixed piece of Python, run between",
        f"  the measurements, took {middle:.1f} ms ({low:.1f} to {high:.1f}, 10th to 90th percentile).",
        f"- Versions: {versions}.",
        f"- Load: {facts.channels} channels, {facts.data_bytes} bytes of data an event ({facts.item_bytes} bytes in a",
        f"  batch, with its id). Ceiling: {facts.driver}.",
        "- Each figure is a median with the least and the most; each ratio is the median of the ratios of pairs that",
        "  were measured one after the other.",
    ]
    return "\n".join(lines)


def _targets(found: Sequence[Row]) -> str:
    lines = ["## Targets", "", "| | target | measured | |", "|---|---|---|---|"]
    lines += [f"| {row.what} | {row.target} | {row.measured} | {row.verdict} |" for row in found]
    missed = [row.what for row in found if not row.median_meets]
    lines += ["", f"Missed: {'; '.join(missed)}." if missed else "No median misses its target."]
    return "\n".join(lines)


_SIDES = {
    "ours": "this package: one worker with its own settings, batches of up to 500",
    "per_event prefork 2": "a Celery task per event, SDK `trigger`, prefork 2",
    "per_event threads 8": "the same, threads 8",
    "in_batches prefork 2": "celery-batches (100 or 0.1 s), SDK `trigger_batch`, prefork 2",
    "in_batches threads 8": "the same, threads 8",
    "trigger": "SDK `trigger` in a loop, no queue",
    "trigger_batch": "SDK `trigger_batch` of 100 in a loop, no queue, no deduplication (its default)",
    "trigger_batch with keys": "the same with its idempotency keys",
    "ceiling 100": "ceiling, batch 100, 4 in flight",
    "ceiling 500": "ceiling, batch 500, 4 in flight",
    "ceiling 1000": "ceiling, batch 1000, 4 in flight",
    "ceiling 500 mixed": "no ceiling: the same driver at batch 500, all channels in every request",
}


def _drained(drained: Drained) -> str:
    lines = ["## Events a second, drained", "", "| | events/s | ours is |", "|---|---|---|"]
    for side, what in _SIDES.items():
        rates = drained.rates[side]
        ratio = "" if side == "ours" else of_pairs(drained.rates["ours"], rates).text(2, "x")
        lines.append(f"| {what} | {spread(rates).text()} | {ratio} |")
    lines += ["", "A target compares with the pool of the higher median."]
    lines += ["", "Where the time goes, in microseconds of CPU per event (all share the machine's cores):", ""]
    lines += ["| | server | redis | worker or driver | all |", "|---|---|---|---|---|"]
    for side, name in (("ours", "this package"), ("ceiling", "ceiling, batch 500")):
        cost = {part: median([run[part] for run in drained.cpu_us[side]]) for part in drained.cpu_us[side][0]}
        own = cost.get("worker", cost.get("driver", 0.0))
        lines.append(
            f"| {name} | {cost['server']:.1f} | {cost.get('redis', 0.0):.1f} | {own:.1f} | {sum(cost.values()):.1f} |"
        )
    return "\n".join(lines)


def _enqueued(enqueued: Enqueued) -> str:
    names = {
        "delay": "`publish.delay`",
        "many": "`publish_many`",
        "celery": "Celery's own `delay` of a task that does nothing, same arguments",
        "round trip": "for scale: a `PING` through redis-py",
    }
    lines = [
        "## What a caller pays, microseconds per event",
        "",
        "| | on the clock | of them the caller's CPU |",
        "|---|---|---|",
    ]
    for side, what in names.items():
        wall, cpu = spread(enqueued.wall_us[side]), spread(enqueued.cpu_us[side])
        lines.append(f"| {what} | {wall.text(1)} | {cpu.middle:.1f} |")
    return "\n".join(lines)


def _from_coroutines(measured: Coroutines) -> str:
    names = {
        "adelay": "`publish.adelay`",
        "to_thread": "`asyncio.to_thread(publish.delay, …)`",
        "SDK": "SDK `AsyncSockudo.trigger`, no queue",
    }
    lines = ["## From coroutines, events a second", ""]
    lines += [f"| | {' | '.join(f'{callers:,} callers' for callers in CALLERS)} |", f"|---|{'---|' * len(CALLERS)}"]
    for side, what in names.items():
        cells = [spread(rates).text() if (rates := measured.rates.get((side, one))) else "" for one in CALLERS]
        lines.append(f"| {what} | {' | '.join(cells)} |")
    lines += ["", "What an event costs the process: microseconds of CPU / times that a thread sleeps", ""]
    lines += [f"| | {' | '.join(f'{callers:,} callers' for callers in CALLERS)} |", f"|---|{'---|' * len(CALLERS)}"]
    for side, what in names.items():
        costs = [(measured.cpu_us.get((side, one)), measured.switches.get((side, one))) for one in CALLERS]
        cells = [f"{median(cpu):.0f} / {median(sleeps):.2f}" for cpu, sleeps in costs if cpu and sleeps]
        if cells:
            lines.append(f"| {what} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _imported(imported: Imported) -> str:
    lines = ["## The first use in a fresh process, milliseconds of CPU from its start to its end", ""]
    lines += ["| | CPU |", "|---|---|"]
    lines += [f"| `{source}` | {spread(imported.cpu_ms[side]).text()} |" for side, source in SIDES.items()]
    lines += [f"| `sockudo-publisher {name}` | {spread(imported.cpu_ms[name]).text()} |" for name in COMMANDS]
    return "\n".join(lines)


def _called(called: Called) -> str:
    names = {"ours": "this package's client", "pusher": "`pusher`", "sockudo-http-python": "`sockudo-http-python`"}
    lines = [
        "## A direct call, microseconds of the caller",
        "",
        "Beside a server that answers at once and closes, as Sockudo does.",
        "",
        "| | | on the clock | of them CPU |",
        "|---|---|---|---|",
    ]
    for kind, title in (("trigger", "`trigger`"), ("trigger_batch", f"`trigger_batch` of {BATCH}")):
        for side, what in names.items():
            wall, cpu = spread(called.wall_us[kind][side]), spread(called.cpu_us[kind][side])
            lines.append(f"| {title} | {what} | {wall.text()} | {cpu.text()} |")
    return "\n".join(lines)


def _latencies(latency: Latencies) -> str:
    names = {"delay": "`publish.delay`", "trigger": "SDK `trigger`", "own trigger": "our client's `trigger`"}
    lines = ["## From call to subscriber, milliseconds", ""]
    lines += ["| events/s | | p50 | p95 |", "|---|---|---|---|"]
    for rate in RATES:
        for side, what in names.items():
            p50, p95 = latency.p50_ms[rate][side], latency.p95_ms[rate][side]
            lines.append(f"| {rate} | {what} | {spread(p50).text(1)} | {spread(p95).text(1)} |")
    return "\n".join(lines)


def _cold(cold: Cold) -> str:
    names = {
        "direct": "our client's `trigger`",
        "warm": "`publish.delay`, lane watched",
        "cold": "`publish.delay`, quiet",
        "rung": "`publish.delay`, by its doorbell",
    }
    lines = ["## A quiet lane, milliseconds from call to subscriber", "", "| | p50 | p95 |", "|---|---|---|"]
    for side, what in names.items():
        lines.append(f"| {what} | {percentile(cold.ms[side], 0.5):.1f} | {percentile(cold.ms[side], 0.95):.1f} |")
    lines += ["", "The way by the doorbell, each step since the one before:", "", "| | p50 | p95 |"]
    lines.append("|---|---|---|")
    for hop, times in cold.hops_ms.items():
        lines.append(f"| {hop} | {percentile(times, 0.5):.1f} | {percentile(times, 0.95):.1f} |")
    return "\n".join(lines)


def _backlog(backlog: Backlog) -> str:
    lines = [
        "## A deep backlog",
        "",
        f"{backlog.depth:,} waiting: {spread(backlog.deep).text()} events/s. "
        f"10,000 waiting: {spread(backlog.shallow).text()} events/s. Both are held at their depth: what is drained is",
        "stored anew meanwhile, which costs both the same (so these are not the rates of the table above).",
        "",
        "One drain of the deep backlog to its end, with nothing stored meanwhile:",
        "",
        "| drained | events/s since the line before | worker memory, MB |",
        "|---|---|---|",
    ]
    lines += [f"| {tenth.share:.0%} | {tenth.rate:,.0f} | {tenth.rss_mb:.0f} |" for tenth in backlog.tenths]
    return "\n".join(lines)


def _steps(steps: Steps) -> str:
    lines = ["## Each step alone, microseconds per event", "", "| step | on the clock | own CPU |", "|---|---|---|"]
    for step, what in STEPS.items():
        wall, cpu = spread(steps.wall_us[step]), spread(steps.cpu_us[step])
        lines.append(f"| {what} | {wall.text(2)} | {cpu.middle:.2f} |")
    return "\n".join(lines)

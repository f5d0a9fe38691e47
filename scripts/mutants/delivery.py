"""Breakages of the delivery: decisions, loop and lease by the simulation, scripts by their own tests."""

from __future__ import annotations

from . import Mutant

__all__ = ["MUTANTS"]

DECIDE = "sockudo_publisher/delivery/decide.py"
GATES = "sockudo_publisher/delivery/gates.py"
DRAIN = "sockudo_publisher/delivery/drain.py"
RUN = "sockudo_publisher/delivery/run.py"
ATTEMPT = "sockudo_publisher/delivery/attempt.py"
ASK = "sockudo_publisher/delivery/ask.py"
PROBE = "sockudo_publisher/delivery/probe.py"
OUTCOME = "sockudo_publisher/delivery/outcome.py"
UNCERTAIN = "sockudo_publisher/delivery/uncertain.py"
DEDUP_CHECK = "sockudo_publisher/delivery/dedup_check.py"
WINDOW = "sockudo_publisher/delivery/window.py"
LEASE = "sockudo_publisher/journal/lease.py"
LUA = "sockudo_publisher/journal/lua"
SWEEP = "sockudo_publisher/workerapp/steps/sweep.py"

#: The simulation; a broken seed is printed, not made smaller.
SIMULATION = ("-m", "tests.simulation", "--brief", "--seeds", "10000")

#: The journal beside its model.
JOURNAL = ("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "tests/integration/simulation/test_journal_model.py")

#: The sweep of one worker over a real Redis.
SWEEPS = ("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "tests/integration/operations/test_sweep.py")

#: What workers share, and the loop where the server forgets.
SHARED = ("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "tests/integration/journal/test_shared.py")
MEMORY = ("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "tests/integration/delivery/test_drain_memory.py")

#: The thread that renews leases.
KEEPER = (*JOURNAL[:-1], "tests/integration/journal/test_lease_keeper.py")

#: The gates, state by state.
GATE_TABLE = (*JOURNAL[:-1], "tests/unit/delivery/test_gates.py")

#: The operator's pause, state by state, in the loop and in the sweep.
OPERATOR = (*JOURNAL[:-1], "tests/unit/delivery/test_gates_operator_pause.py")
OPERATOR_LOOP = (*JOURNAL[:-1], "tests/integration/delivery/test_operator_pause.py")

#: The decisions in a loop.
SEARCH = (*JOURNAL[:-1], "tests/unit/delivery/test_search.py", "-k", "many_refused or full_again")

#: The loop over a real Redis that loses its last writes.
FAILOVER = (
    "-m",
    "pytest",
    "-q",
    "-x",
    "-p",
    "no:cacheprovider",
    "tests/integration/delivery/test_drain_deaths.py",
    "-k",
    "redis",
)

#: Workers whose sweep comes too seldom to help.
RETURN = (*JOURNAL[:-1], "tests/integration/celery/test_server_away.py", "-k", "rings_every_lane")

MUTANTS = (
    Mutant(
        name="send what was never sent in an operator's pause",
        why="a person who maintains the server relies on it",
        file=GATES,
        old="head = None if is_ordered and taken.batch is not None and not taken.batch.resent else taken.batch",
        new="head = taken.batch",
        test=SIMULATION,
    ),
    Mutant(
        name="leave what may be out to the end of an operator's pause",
        why="its window runs, and the server forgets it",
        file=GATES,
        old="head = None if is_ordered and taken.batch is not None and not taken.batch.resent else taken.batch",
        new="head = None if is_ordered else taken.batch",
        test=OPERATOR,
    ),
    Mutant(
        name="drain a lane without a marker in an operator's pause",
        why="each doorbell would take a batch and put it back",
        file=DRAIN,
        old="    return bool(shared.operator_pause) and channel is None and not journal.is_marked(lane)",
        new="    return False",
        test=OPERATOR_LOOP,
    ),
    Mutant(
        name="ring every lane in an operator's pause",
        why="each lane would be rung every two seconds for nothing",
        file=f"{LUA}/sweep.lua",
        old=" and (kept[3] or not only_marked)",
        new="",
        test=OPERATOR_LOOP,
    ),
    Mutant(
        name="leave the operator's pause when a person resumes",
        why="nothing would flow again",
        file=f"{LUA}/operator_resume.lua",
        old="redis.call('DEL', operator_pause, pause)",
        new="redis.call('DEL', pause)",
        test=OPERATOR_LOOP,
    ),
    Mutant(
        name="settle before 200",
        why="an event whose request was lost would leave the journal undelivered",
        file=DECIDE,
        old="return _pause(finding, after.failures, unmark=False), after",
        new="return Settle(), after",
        test=SIMULATION,
    ),
    Mutant(
        name="take the mark off after an unknown attempt",
        why="the next request may carry other items in front, and the window of what is out never begins",
        file=DECIDE,
        old="return _pause(finding, after.failures, unmark=False), after",
        new="return _pause(finding, after.failures, unmark=True), after",
        test=SIMULATION,
    ),
    Mutant(
        name="resend a stuck batch until it is accepted",
        why="when its claim ends, all before it is forgotten too and comes twice",
        file=DECIDE,
        old="    if attempt.count > 1:\n"
        "        return TryAgain(), replace(progress, suspects=attempt.count, max_items=_half(attempt.count))\n"
        "    return Hold",
        new="    if attempt.count > 1:\n        return TryAgain(STUCK_WAIT_S), progress\n    return Hold",
        test=SIMULATION,
    ),
    Mutant(
        name="bury the first item of a refused batch",
        why="the culprit is somewhere behind it: an innocent event is lost",
        file=DECIDE,
        old="    if attempt.count > 1:\n"
        "        return TryAgain(), replace(progress, suspects=attempt.count, max_items=_half(attempt.count))\n"
        "    reason",
        new="    reason",
        test=SIMULATION,
    ),
    Mutant(
        name="hold the first item of a stuck batch",
        why="a channel waits for two minutes though its item is not the one that is stuck",
        file=DECIDE,
        old="    if not progress.has_waited:\n"
        "        return TryAgain(STUCK_WAIT_S), replace(progress, has_waited=True)\n"
        "    if attempt.count > 1:",
        new="    if False:",
        test=SIMULATION,
    ),
    Mutant(
        name="send without a look at the lease",
        why="a process that was frozen repeats what its successor has delivered and the server forgotten",
        file=ATTEMPT,
        old=" and run.holder.lease.ensure_fresh()",
        new="",
        test=SIMULATION,
    ),
    Mutant(
        name="trust a lease from the answer on",
        why="an answer that came late makes the lease look younger than it is",
        file=LEASE,
        old="self._trusted_from = max(self._trusted_from, asked_at)",
        new="self._trusted_from = time.monotonic()",
        test=SIMULATION,
    ),
    Mutant(
        name="probe without the right to",
        why="every lane of every worker sends into a server that is down",
        file=PROBE,
        old="self._lease.is_probing = self._journal.shared.try_probe(self._lease.token)",
        new="self._lease.is_probing = True",
        test=SIMULATION,
    ),
    Mutant(
        name="end a pause after any answer",
        why="an answer to a request before the trouble ends its pause, and no worker checks what was forgotten",
        file=f"{LUA}/resume.lua",
        old="if redis.pcall('HGET', pause, 'count') ~= count then return {-2} end\n",
        new="",
        test=SHARED,
    ),
    Mutant(
        name="keep the right to probe without the lease",
        why="a prober that died keeps everybody from a server that is back",
        file="sockudo_publisher/journal/app/shared.py",
        old='self._link.script("take_right", (self._keys.probe,), (token, TTL_MS))',
        new='self._link.script("take_right", (self._keys.probe,), (token, 20 * TTL_MS))',
        test=SHARED,
    ),
    Mutant(
        name="let the keeper of leases take the right to probe",
        why="a right that is given back at that moment comes back, and no worker probes for six seconds",
        file=f"{LUA}/renew.lua",
        old="if redis.pcall('GET', lease) ~= token then return {-1} end\nredis.call('PEXPIRE', lease, ttl_ms)",
        new="redis.call('SET', lease, token, 'PX', ttl_ms)",
        test=KEEPER,
    ),
    Mutant(
        name="send canaries with the batch still marked",
        why="a prober that dies meanwhile leaves events uncertain that were never sent",
        file=ASK,
        old="run.put_back()  # a death while canaries are out must not leave the batch marked as sent",
        new="pass",
        test=MEMORY,
    ),
    Mutant(
        name="do not ring when the server is back",
        why="all lanes but the one that asked wait for a sweep, seconds after the return",
        file=PROBE,
        old="            self._control.ring_all()\n",
        new="",
        test=RETURN,
    ),
    Mutant(
        name="leave the mark on what is not sent in a pause",
        why="an event that never left would be called uncertain, and parked or counted as a repeat",
        file=DRAIN,
        old="                run.put_back()\n                run.waited_s += seconds\n",
        new="                run.waited_s += seconds\n",
        test=SIMULATION,
    ),
    Mutant(
        name="take the mark off what was sent before",
        why="the window of an event that may be out begins anew with each attempt",
        file=RUN,
        old="        if batch is not None and not batch.resent:\n",
        new="        if batch is not None:\n",
        test=SIMULATION,
    ),
    Mutant(
        name="a cut request counts as not sent",
        why="what the server has taken may be sent in other company, its window does not begin",
        file=OUTCOME,
        old="Outcome.UNKNOWN if result.sent else Outcome.NOT_SENT",
        new="Outcome.NOT_SENT",
        test=SIMULATION,
    ),
    Mutant(
        name="an item in progress counts as a busy server",
        why="no search starts: the app waits until its claim ends, and repeats all events before it",
        file=OUTCOME,
        old="return Finding(Outcome.STUCK, message)",
        new="return Finding(Outcome.BUSY, message)",
        test=SIMULATION,
    ),
    Mutant(
        name="forget the window under `park`",
        why="at most once becomes at least once",
        file=WINDOW,
        old="age_s > policy.window_s - policy.delivery_timeout_s - MARGIN_S",
        new="age_s > 100 * policy.window_s",
        test=SIMULATION,
    ),
    Mutant(
        name="do not count what comes again after the window",
        why="a duplicate that is not counted",
        file=RUN,
        old="self.journal.settle_and_take(self.holder, self.batch, late=is_late, **self._bounds())",
        new="self.journal.settle_and_take(self.holder, self.batch, late=False, **self._bounds())",
        test=SIMULATION,
    ),
    Mutant(
        name="do not rest when the server asks for it",
        why="a server that drains or limits is asked at once, by every worker",
        file=DECIDE,
        old="finding.retry_after_s if finding.retry_after_s is not None else 1.0 + backoff_s(failures)",
        new="0.0",
        test=SIMULATION,
    ),
    Mutant(
        name="search anew after each accepted prefix",
        why="a culprit takes more requests, and the window may end in the search",
        file=DECIDE,
        old="        return replace(progress, suspects=suspects, max_items=_half(suspects))\n",
        new="        return progress.after_head()\n",
        test=SIMULATION,
    ),
    Mutant(
        name="go on at full size after a culprit",
        why="each of many refused events costs a search of its own",
        file=DECIDE,
        old='return replace(self, suspects=None, max_items=1, has_waited=False, attempts=0, blame="")',
        new='return replace(self, suspects=None, max_items=None, has_waited=False, attempts=0, blame="")',
        test=SEARCH,
    ),
    Mutant(
        name="stay small after a culprit",
        why="one refused event slows a lane until its run ends",
        file=DECIDE,
        old="        max_items *= 2\n",
        new="        max_items *= 1\n",
        test=SEARCH,
    ),
    Mutant(
        name="do not ask before what one attempt has carried is sent again",
        why="a full memory delivers it again, also under `park`",
        file=DEDUP_CHECK,
        old="    if not batch.resent:\n",
        new="    if True:\n",
        test=SIMULATION,
    ),
    Mutant(
        name="do not count the copies of a late batch that was not accepted",
        why="a duplicate that is not counted",
        file=UNCERTAIN,
        old="            return attempt.count\n",
        new="            return 0\n",
        test=SIMULATION,
    ),
    Mutant(
        name="resend to a server that does not remember",
        why="`park` promises at most once",
        file=WINDOW,
        old="    if is_forgetful:\n",
        new="    if False:\n",
        test=SIMULATION,
    ),
    Mutant(
        name="resend an uncertain event past its expiry",
        why="the event has expired, and it may come twice",
        file=UNCERTAIN,
        old="return SendFirst(wanted)",
        new="return SendFirst(alike)",
        test=SIMULATION,
    ),
    Mutant(
        name="do not pay for what is sent",
        why="SOCKUDO_MAX_RATE limits nothing",
        file=ATTEMPT,
        old="        run.tokens -= send.count\n",
        new="",
        test=SIMULATION,
    ),
    Mutant(
        name="let a shorter pause end a longer one",
        why="Retry-After of one answer is forgotten over another lane's",
        file=f"{LUA}/pause.lua",
        old="math.max(now + wait_ms, before)",
        new="now + wait_ms",
        test=(*JOURNAL[:-1], "tests/integration/delivery/test_drain_pauses.py", "-k", "shorter_pause"),
    ),
    Mutant(
        name="a failover ends the drain at a culprit",
        why="an error instead of another take, and the lane waits for the lease to run out",
        file=RUN,
        old="            change()\n        except MarkerChanged:",
        new="            change()\n        except ZeroDivisionError:",
        test=FAILOVER,
    ),
    Mutant(
        name="settle past what Redis gives back",
        why="a stuck item that was held in Redis' lost second is trimmed with what is behind it",
        file=f"{LUA}/include/advance.lua",
        old="    redis.call('HSET', state, 'marker', moved_marker(marker))\n",
        new="",
        test=FAILOVER,
    ),
    Mutant(
        name="settle without the fencing check",
        why="a holder that lost its lease trims what its successor has not sent",
        file=f"{LUA}/settle.lua",
        old="if redis.call('GET', lease) ~= token then return {-1} end\n",
        new="",
        test=JOURNAL,
    ),
    Mutant(
        name="settle under any marker",
        why="a Redis that lost its last second trims what was never sent",
        file=f"{LUA}/settle.lua",
        old="if redis.call('HGET', state, 'marker') ~= marker then return {-2} end\n",
        new="",
        test=FAILOVER,
    ),
    Mutant(
        name="extend a resent prefix",
        why="new events travel beside what may be out, under its time",
        file=f"{LUA}/take.lua",
        old="      stop = math.min(end_index, n)\n",
        new="",
        test=JOURNAL,
    ),
    Mutant(
        name="give a lease that another worker has",
        why="two workers send one channel at the same time",
        file=f"{LUA}/acquire.lua",
        old="if left ~= -2 then return {0} end\n",
        new="",
        test=JOURNAL,
    ),
    Mutant(
        name="hold an item without its time",
        why="its window begins anew, and what was sent counts as never sent",
        file=f"{LUA}/hold.lua",
        old="item, string.match(marker, '^(%d+)'))",
        new="item)",
        test=JOURNAL,
    ),
    Mutant(
        name="release a lane that has entries",
        why="they wait for the sweep, or for the next event",
        file=f"{LUA}/release.lua",
        old="if redis.call('XLEN', stream) > 0 then",
        new="if false then",
        test=JOURNAL,
    ),
    Mutant(
        name="ring a lane that no ring reaches again and again",
        why="where no worker reads the broker's queue its events wait for ever",
        file=SWEEP,
        old="lane for lane, _ in found) if found and has_free_slot else set()",
        new="lane for lane, _ in found if lane < 0) if found and has_free_slot else set()",
        test=SWEEPS,
    ),
    Mutant(
        name="drain here whatever the slots do",
        why="a worker with few slots would run more drains than it has slots",
        file=SWEEP,
        old="if found and has_free_slot else set()",
        new="if found else set()",
        test=SWEEPS,
    ),
    Mutant(
        name="count the rings of a paused app",
        why="its lanes would be drained past their doorbells as soon as it goes on",
        file=SWEEP,
        old="is_counted=pause is None",
        new="is_counted=True",
        test=SWEEPS,
    ),
    Mutant(
        name="leave the count of rings to the next lease",
        why="a lane whose doorbells are answered would be drained beside its slots",
        file=f"{LUA}/acquire.lua",
        old="redis.call('HDEL', lane_state, 'unanswered')",
        new="",
        test=JOURNAL,
    ),
    Mutant(
        name="give a search up at the end of a slice",
        why="it begins anew each time, and the window ends in it",
        file=GATES,
        old="if view.is_slice_over and looks.do_others_wait is None and not view.progress.is_searching:",
        new="if view.is_slice_over and looks.do_others_wait is None:",
        test=GATE_TABLE,
    ),
    Mutant(
        name="wait in place without an end",
        why="a lane that waits keeps the slot that another lane needs",
        file=GATES,
        old="return Leave(again) if view.waited_s + wait_s > WAIT_IN_PLACE_S else Wait(wait_s)",
        new="return Wait(wait_s)",
        test=GATE_TABLE,
    ),
    Mutant(
        name="send an item again that its own bytes condemn",
        why="it may be out, and without an id the server publishes it again",
        file=GATES,
        old="if progress.blame and progress.suspects == 1 and fault_of(head.first_item):",
        new="if False:",
        test=GATE_TABLE,
    ),
)

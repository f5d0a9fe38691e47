"""Bugs on the way from a call to a stored event: refusals, what is stored beside the event, and errors."""

from __future__ import annotations

from . import Mutant

__all__ = ["MUTANTS"]

PRODUCER = "sockudo_publisher/journal/producer.py"
APPEND = "sockudo_publisher/journal/lua/append.lua"
TAKE = "sockudo_publisher/journal/lua/take.lua"
APPEND_ONCE = "sockudo_publisher/journal/lua/append_once.lua"

_JOURNAL = ("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider")
FLUSH_PLAN = "sockudo_publisher/publishing/flush_plan.py"
EARLY_APPEND = "sockudo_publisher/publishing/early_append.py"
GROUP_COMMIT = "sockudo_publisher/publishing/group_commit.py"
FLUSH_PLANS = (*_JOURNAL, "tests/unit/publishing/test_flush_plan.py")
CANCELLED = (*_JOURNAL, "tests/integration/publishing/test_asyncio_trouble.py", "-k", "cancelled")
EARLY = (*_JOURNAL, "tests/integration/publishing/test_early_append.py")
ENDS = (*_JOURNAL, "tests/integration/publishing/test_asyncio_processes.py", "-k", "end_under")
APPENDS = (*_JOURNAL, "tests/integration/journal/test_append.py")
COLLAPSES = (*_JOURNAL, "tests/integration/journal/test_collapse.py")
FLIPS = (*_JOURNAL, "tests/integration/journal/test_flip.py")

MUTANTS = (
    Mutant(
        name="store what fits of a call that stops",
        why="the second of two channels would be missing of an event whose call says that nothing is stored",
        file=APPEND,
        old="if room == 0 or (room < count and not skips) then",
        new="if room == 0 then",
        test=APPENDS,
    ),
    Mutant(
        name="stop at a refused item that is to be skipped",
        why="one caller's conflict would refuse the events of all others in its flush",
        file=APPEND_ONCE,
        old="if mode ~= 'skip' then return {-4, k - 4} end",
        new="if mode then return {-4, k - 4} end",
        test=APPENDS,
    ),
    Mutant(
        name="skip a conflict where it stops the call",
        why="what comes behind a refused event would be stored, and the caller told that nothing is",
        file=APPEND_ONCE,
        old="if mode ~= 'skip' then return {-4, k - 4} end",
        new="if not mode then return {-4, k - 4} end",
        test=APPENDS,
    ),
    Mutant(
        name="pass over what does not fit, and store what comes behind it",
        why="a later event of a channel would overtake the one that was refused",
        file=APPEND_ONCE,
        old="elseif mode == 'skip' and #fresh == room then",
        new="elseif mode == 'skip' and #fresh == room and k < #KEYS then",
        test=APPENDS,
    ),
    Mutant(
        name="write the number of the latest of a key without its event",
        why="the waiting event would be dropped for a later one that the lane had refused",
        file=APPEND,
        old="for i = 5, past - 1, 4 do\n    add_collapsing(",
        new="for i = 5, #ARGV, 4 do\n    add_collapsing(",
        test=COLLAPSES,
    ),
    Mutant(
        name="drop the latest event of a collapse key too",
        why="a channel would fall silent: no event of the key would ever arrive",
        file=TAKE,
        old="elseif newest and number < newest then",
        new="elseif newest and number <= newest then",
        test=COLLAPSES,
    ),
    Mutant(
        name="drop what may have been sent when a later event comes",
        why="an event of unknown fate would vanish without an answer, and leave the marker over others",
        file=TAKE,
        old="if first and not marker and not clock then",
        new="if first then",
        test=COLLAPSES,
    ),
    Mutant(
        name="look into no lane before an append that stops",
        why="a conflict in one lane would leave the event stored in another",
        file=PRODUCER,
        old="if len(parts) > 1 and on_refusal is OnRefusal.STOP and not self._all_take(layout, parts, known, done):",
        new="if len(parts) > 9 and on_refusal is OnRefusal.STOP and not self._all_take(layout, parts, known, done):",
        test=APPENDS,
    ),
    Mutant(
        name="answer by the place in the lane",
        why="another caller than the one whose event was refused would be told",
        file=PRODUCER,
        old="index = part.indexes[place]",
        new="index = place",
        test=APPENDS,
    ),
    Mutant(
        name="move the items of a closed lane in any order",
        why="a channel's events would be stored in another order than they were given in",
        file=PRODUCER,
        old="indexes, done.moved = sorted(done.moved), []",
        new="indexes, done.moved = sorted(done.moved, reverse=True), []",
        test=FLIPS,
    ),
    Mutant(
        name="let keyed and plain items of one channel share a flush",
        why="the two scripts of a flush would store a channel's events in another order than that of the calls",
        file=FLUSH_PLAN,
        old="if kinds.setdefault(item.channel, kind) is not kind:",
        new="if kinds.setdefault(item.channel, kind) is None:",
        test=FLUSH_PLANS,
    ),
    Mutant(
        name="let an event of several channels with a key share a flush",
        why="a conflict on one channel would leave the event stored on the others",
        file=FLUSH_PLAN,
        old="            if call.is_alone:",
        new="            if call.is_alone and not events:",
        test=FLUSH_PLANS,
    ),
    Mutant(
        name="give one error object to all calls of a flush",
        why="each caller would read the message id of another's event",
        file=FLUSH_PLAN,
        old="own = copy.copy(error)",
        new="own = error",
        test=FLUSH_PLANS,
    ),
    Mutant(
        name="keep a cancelled call in the queue",
        why="an event whose caller gave up before its append would be stored all the same",
        file=GROUP_COMMIT,
        old="if call.state is CallState.WAITING:\n                call.state = CallState.WITHDRAWN",
        new="if call.state is None:\n                call.state = CallState.WITHDRAWN",
        test=CANCELLED,
    ),
    Mutant(
        name="read whatever has come in the loop",
        why="the rest of an answer that comes in pieces would be waited for in the loop, which does nothing else then",
        file=EARLY_APPEND,
        old="is_stored = self._socket is not None and stores_all(self._socket.look())",
        new="is_stored = self._socket is not None",
        test=EARLY,
    ),
    Mutant(
        name="watch for an answer for ever",
        why="the call would wait for a Redis that does not answer, without an error",
        file=EARLY_APPEND,
        old="self._timer = self._loop.call_later(PATIENCE_S, self._give_up, then)",
        new="self._timer = self._loop.call_later(PATIENCE_S * 1000, self._give_up, then)",
        test=EARLY,
    ),
    Mutant(
        name="forget the append of a lone call that is cancelled",
        why="its event is stored, and no worker would hear of it before a sweep",
        file=GROUP_COMMIT,
        old="elif call is self._early:\n                self._leave_to_thread()",
        new="elif call is self._early:\n                pass",
        test=EARLY,
    ),
    Mutant(
        name="end the process under the append of a lone call",
        why="an event that is not stored would be lost, and the process would print no error",
        file=GROUP_COMMIT,
        old="if self._early is not None and not self._leave_to_thread():",
        new="if self._early is not None and self.thread.is_stopping is None:",
        test=ENDS,
    ),
)

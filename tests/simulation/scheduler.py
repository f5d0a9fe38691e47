"""Virtual time: what is due next happens next, and nothing else passes time.

Tasks are greenlets, because the loop under test is synchronous: a call that takes time switches to the scheduler and is
resumed when its time has come. Whatever happens between two switches is one step.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

from greenlet import getcurrent, greenlet

__all__ = ["Died", "Process", "Scheduler", "Task"]


class Died(BaseException):
    """A killed process; nothing in the loop may catch it."""


@dataclass(eq=False)
class Process:
    """A worker: its tasks die, freeze and stop together."""

    number: int
    is_alive: bool = True
    is_stopping: bool = False
    frozen_until: float = 0.0
    tasks: dict[Task, None] = field(default_factory=dict)  # a set that keeps its order


class Task:
    """One drain of a process."""

    __slots__ = ("greenlet", "is_napping", "name", "on_death", "process", "wake")

    def __init__(self, process: Process, name: str, run: Callable[[Task], None]) -> None:
        self.process = process
        self.name = name
        self.wake = 0  # which of its waits it is in: an alarm of an earlier one is stale
        self.is_napping = False
        #: What its death leaves behind elsewhere (a request in the server).
        self.on_death: Callable[[], None] | None = None
        self.greenlet = greenlet(lambda: self._live(run))

    def __repr__(self) -> str:
        return f"p{self.process.number} {self.name}"

    def _live(self, run: Callable[[Task], None]) -> None:
        try:
            run(self)
        except Died:
            pass
        finally:
            self.process.tasks.pop(self, None)


class Scheduler:
    """The clock and what is due. ``step`` is called before a task goes on for the ``watched``-th time."""

    def __init__(self, step: Callable[[Task], None]) -> None:
        self.now = 0.0
        self.steps = 0
        self.watched = 0  # the step that `step` wants to see; it names the next one then
        self._step = step
        self._due: list[tuple[float, int, Task | Callable[[], None], int]] = []
        self._number = 0
        self._main = getcurrent()

    def at(self, when: float, what: Callable[[], None]) -> None:
        """Call ``what`` then."""
        self._number += 1
        heapq.heappush(self._due, (when, self._number, what, 0))

    def start(self, task: Task) -> None:
        """Let a task begin now."""
        task.greenlet.parent = self._main
        task.process.tasks[task] = None
        self._alarm(task, self.now)

    def _alarm(self, task: Task, when: float) -> None:
        self._number += 1
        heapq.heappush(self._due, (when, self._number, task, task.wake))

    def sleep(self, task: Task, seconds: float) -> None:
        """Called by the task: go on so much later, or when it is woken."""
        process = task.process
        if not process.is_alive:
            raise Died
        when, due = self.now + seconds, self._due
        if (not due or due[0][0] > when) and process.frozen_until <= when and self.steps + 1 != self.watched:
            # Nothing happens before: no switch, which is most of what a step costs.
            self.now = when
            self.steps += 1
            return
        self._alarm(task, when)
        self._main.switch()

    def wake(self, task: Task) -> None:
        """Let a sleeping task go on now."""
        self._alarm(task, self.now)

    def kill(self, process: Process) -> None:
        """SIGKILL: none of its tasks does anything more."""
        process.is_alive = False
        for task in list(process.tasks):
            if task.on_death is not None:
                task.on_death()
            if task.greenlet:  # one that has not begun has nothing to unwind
                task.greenlet.throw(Died)
            process.tasks.pop(task, None)

    def run(self, is_over: Callable[[], bool]) -> None:
        """Until ``is_over``, looked at before each step, or until nothing is due."""
        due = self._due
        while due and not is_over():
            when, _, what, wake = heapq.heappop(due)
            if not isinstance(what, Task):
                self.now = max(self.now, when)
                what()
                continue
            process = what.process
            if what.wake != wake or not process.is_alive or what.greenlet.dead:
                continue
            if process.frozen_until > when:
                self._alarm(what, process.frozen_until)
                continue
            self.now = max(self.now, when)
            self.steps += 1
            if self.steps == self.watched:
                self._step(what)
                if not process.is_alive:
                    continue
                if process.frozen_until > self.now:
                    self._alarm(what, process.frozen_until)
                    continue
            what.wake += 1
            what.greenlet.switch()

    def end(self) -> None:
        """Leave no greenlet behind."""
        for _, _, what, _ in self._due:
            if isinstance(what, Task) and what.process.is_alive:
                self.kill(what.process)
        self._due.clear()

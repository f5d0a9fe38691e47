"""What the plan does to a world besides faults of requests: crashes, frozen processes, servers that go away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.simulation.plan import Accident
from tests.simulation.scheduler import Process, Task
from tests.simulation.server import LOST

if TYPE_CHECKING:
    from tests.simulation.world import World

__all__ = ["Accidents"]

#: Seconds until a killed process is started again.
RESTART_S = 2.0


class Accidents:
    """Those of a world's plan, each at its step.

    ``left``: those that have not happened; ``answer_faults``: what befalls the next answer of Redis to a task.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.left = list(world.plan.accidents)
        self.answer_faults: dict[Task, Accident] = {}
        self.process_number = world.plan.processes

    def watch(self) -> None:
        """Have the scheduler call at the step of the next one."""
        self.world.scheduler.watched = self.left[0].step if self.left else 0

    def step(self, task: Task) -> None:
        """What happens before a task goes on."""
        while self.left and self.left[0].step == self.world.scheduler.steps:
            accident = self.left.pop(0)
            self.world.say(f"ACCIDENT at {task}: {accident.kind} {accident.span_s}")
            self._happen(accident, task)
        self.watch()

    def _happen(self, accident: Accident, task: Task) -> None:
        now, span, process = self.world.scheduler.now, accident.span_s, task.process
        match accident.kind:
            case "crash":
                self.world.scheduler.kill(process)
                self.world.scheduler.at(now + RESTART_S, lambda: self._replace(process))
            case "freeze":
                process.frozen_until = now + span
            case "stop":
                process.is_stopping = True
                for one in process.tasks:
                    if one.is_napping:
                        self.world.scheduler.wake(one)
                self.world.scheduler.at(now + RESTART_S, lambda: self._replace(process))
            case "server down":
                self.world.server_down_until = now + span
                for request in list(self.world.server.running):
                    if not self.world.plan.finishes_requests:
                        self.world.oracle.orphans += request.pending is not None
                        request.cancel()
                    request.reply = LOST
                    if request.on_end is not None:
                        request.on_end()
            case "server restarts and forgets" | "server restarts and remembers":
                self.world.server_down_until = now + span
                self.world.oracle.orphans += len(self.world.server.running)
                self.world.server.restart(remembers=accident.kind == "server restarts and remembers")
            case "server forgets":
                self.world.server.forget()
            case "server dies of large requests":
                self.world.server.dies_above = 2
                self.world.scheduler.at(now + span, self._server_recovers)
            case "redis down":
                self.world.redis_down_until = now + span
            case "redis loses its last second":
                snapshot, known = self.world.journal.snapshot(), set(self.world.oracle.order)
                known |= self.world.oracle.cancelled.keys()
                self.world.scheduler.at(now + self.world.chance(), lambda: self._roll_back(snapshot, known))
            case "answer of redis lost" | "answer of redis late" | "freeze before an answer":
                self.answer_faults[task] = accident
            case "claim":
                if self.world.server.record_of(accident.event) is None:
                    self.world.oracle.orphans += 1
                    self.world.server.claim(accident.event)
            case _:
                raise AssertionError(accident.kind)

    def _replace(self, process: Process) -> None:
        """A new process in the place of one that died or has stopped."""
        if process.is_alive and process.tasks:  # a warm shutdown waits for its tasks
            self.world.scheduler.at(self.world.scheduler.now + RESTART_S, lambda: self._replace(process))
            return
        if process in self.world.processes:
            self.world.processes[self.world.processes.index(process)] = Process(self.process_number)
            self.process_number += 1

    def _server_recovers(self) -> None:
        self.world.server.dies_above = None

    def _roll_back(self, snapshot: dict[str, Any], known: set[int]) -> None:
        self.world.say("Redis begins again from its last second")
        self.world.oracle.has_rolled_back = True
        self.world.journal.restore(snapshot)
        self.world.due.look_again()
        known |= {int(name) for name in self.world.journal.schedule.names()}  # these will be stored (again)
        came = {*self.world.oracle.order, *self.world.oracle.due_ms}
        self.world.oracle.lost_by_redis.update(came - known)
        self.world.redis_down_until = max(self.world.redis_down_until, self.world.scheduler.now + 0.5)

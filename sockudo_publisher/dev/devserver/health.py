"""``/up``, ``/live``, ``/stats`` and their like: not signed. Pure, except for the size of this machine's memory."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from .core import Core
from .state import AppState

__all__ = ["memory_answer", "stats_answer"]

_OFF = {"degraded_channels": 0, "reset_required_channels": 0, "queue_depth": 0}


def memory_answer() -> dict[str, Any]:
    """The memory of this machine, in bytes; zeros where the system does not say."""
    lines: dict[str, int] = {}
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            lines[line.split(":")[0]] = int(line.split()[1]) * 1024
    total, free = lines.get("MemTotal", 0), lines.get("MemAvailable", 0)
    used = total - free
    return {"free": free, "used": used, "total": total, "percent": 100 * used / total if total else 0.0}


def stats_answer(core: Core) -> dict[str, Any]:
    """``/stats``: the connections and channels of each app."""
    apps = [_app_stats(app_id, state) for app_id, state in sorted(core.states.items())]
    totals: dict[str, Any] = {"apps": len(apps)}
    for name in ("connections", "authenticated_connections", "users", "connections_with_meta"):
        totals[name] = sum(app[name] for app in apps)
    occupancies = [app["occupancy"] for app in apps]
    totals["occupancy"] = {name: sum(one[name] for one in occupancies) for name in occupancies[0]}
    return {
        "memory": memory_answer(),
        "history": _history_stats(core.config.has_history),
        "presence_history": _history_stats(core.config.has_presence_history),
        "totals": totals,
        "apps": apps,
    }


def _app_stats(app_id: str, state: AppState) -> dict[str, Any]:
    registry = state.registry
    presence = [channel for channel in registry.channels if channel.startswith("presence-")]
    return {
        "app_id": app_id,
        "connections": len(registry.connections),
        "authenticated_connections": sum(registry.user_of(one) is not None for one in registry.connections),
        "users": registry.user_count,
        "connections_with_meta": 0,
        "occupancy": {
            "channels": len(registry.channels),
            "subscriptions": sum(map(registry.count, registry.channels)),
            "presence_channels": len(presence),
            "presence_subscriptions": sum(map(registry.count, presence)),
            "presence_members": sum(len(registry.members(channel)) for channel in presence),
        },
    }


def _history_stats(is_on: bool) -> dict[str, Any]:
    where = ("memory", "in_memory") if is_on else ("disabled", "disabled")
    return {"enabled": is_on, "backend": where[0], "state_authority": where[1], **_OFF}

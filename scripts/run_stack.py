"""Run the parts of docker-compose.yml without Docker: `make stack`; `make stack ARGS=--check` checks and ends them."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence

from scripts.stack import Stack, running
from scripts.stack_check import check
from sockudo_publisher.dev.embedded import EmbeddedError, PartFailed

#: Seconds between two looks at whether the worker still runs.
POLL_S = 0.5


def main(arguments: Sequence[str] | None = None) -> int:
    """Start the stack and wait for Ctrl-C, or check it. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="make stack", description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--check", action="store_true", help="show that it does what it is there for, then stop")
    options = parser.parse_args(arguments)
    # Ctrl-C also where a shell that started this in the background has made SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with running() as stack:
            say_where(stack)
            return check(stack) if options.check else wait_for_ctrl_c(stack)
    except KeyboardInterrupt:
        return 0
    except EmbeddedError as error:
        print(error, file=sys.stderr)
        return 1


def say_where(stack: Stack) -> None:
    """Print what an application, a browser and a person need."""
    print(f"logs         {stack.directory}")
    for name in ("SOCKUDO_URL", "SOCKUDO_REDIS_URL"):
        print(f"{name:<12} {stack.environment[name]}")
    print(f"subscribers  {stack.websocket_url}")
    print(f"metrics      http://127.0.0.1:{stack.ports.metrics}/metrics", flush=True)


def wait_for_ctrl_c(stack: Stack) -> int:
    """Until Ctrl-C, or until the worker ends by itself."""
    print("Ctrl-C stops all of it.", flush=True)
    while stack.worker.is_running:
        time.sleep(POLL_S)
    raise PartFailed(f"the worker ended:\n{stack.worker.log_tail()}", stack.worker.log)


if __name__ == "__main__":
    sys.exit(main())

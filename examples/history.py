"""Catch up on a channel: print the events since the last run, oldest first.

    SOCKUDO_URL=http://key:secret@127.0.0.1:6001/apps/app python examples/history.py orders 4711

The second argument is the serial that the last run ended with, and printed. Needs a Sockudo with history on
(``[history] enabled = true``); neither Redis nor a worker.
"""

import sys

from sockudo_publisher import Sockudo, SockudoHTTPError


def catch_up(client: Sockudo, channel: str, last: int) -> int:
    """Print every event after a serial; return the serial of the last one."""
    first_kept = client.history_state(channel)["stream"]["retained"]["oldest_available_serial"]
    if first_kept is not None and first_kept > last + 1:
        print(f"{first_kept - last - 1} events are no longer kept", file=sys.stderr)

    # Page by page; the next page is requested when this one is used up. Events published meanwhile are included.
    for item in client.iter_channel_history(channel, direction="oldest_first", start_serial=last + 1):
        print(item["serial"], item["event_name"], item["message"]["data"])
        last = item["serial"]
    return last


def main(channel: str, last: int) -> int:
    """Print the serial for the next run, or the reason of a failure."""
    client = Sockudo.from_env("SOCKUDO_URL")
    try:
        last = catch_up(client, channel, last)
    except SockudoHTTPError as error:
        if error.code != "feature_disabled":
            raise
        print("this server keeps no history", file=sys.stderr)
        return 1
    print(f"next time: python examples/history.py {channel} {last}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "orders", int(sys.argv[2]) if len(sys.argv) > 2 else 0))

"""Judge the reply to an empty batch: is Sockudo reachable, does it know the app, does it accept the signature. Pure.

Facts: Sockudo checks the key first (404), then the app of the path, the time, and last the signature (401 each; only
the message tells them apart); seen on 5.2.0, ``crates/sockudo-core/src/auth.rs``.
"""

from __future__ import annotations

from ..facts.server_reply import ServerReply
from ..facts.values import Access
from ..finding import CheckFinding, broken, fine, risk, unknown

__all__ = ["ACCESS_CHECKS", "judge_access"]

ACCESS_CHECKS = ("sockudo.reachable", "sockudo.app", "sockudo.clock", "sockudo.signature")

#: Seconds by which a request's time may differ from the server's clock, either way.
ALLOWED_S = 600
#: Seconds of difference that are reported: synchronised clocks are closer, and a drift grows.
DRIFT_S = 30

#: A part of a connection error's text (client/http/transport.py), and what to change.
_NO_ANSWER = (
    ("host not found", "the host in {setting}, or the name server"),
    ("not a host name", "the host in {setting}"),
    ("refused", "start Sockudo, or correct host and port in {setting}"),
    ("certificate", "a certificate for this host on the server, or its CA in REQUESTS_CA_BUNDLE"),
    ("TLS", "http:// or https:// in {setting}: what the port speaks"),
    ("no complete answer", "check whether the server hangs, or a firewall drops the packets to it"),
)
_ANY_ANSWER = "host, port and scheme in {setting}"


def judge_access(access: Access) -> list[CheckFinding]:
    """A finding for each of :data:`ACCESS_CHECKS`, in their order."""
    reachable = _reachable(access)
    if access.reply is None or access.reply.status >= 500:
        rest = [unknown(name, "Sockudo was not reached", "see sockudo.reachable") for name in ACCESS_CHECKS[1:]]
        return [reachable, *rest]
    return [reachable, _app(access, access.reply), _clock(access, access.reply), _signature(access, access.reply)]


def _reachable(access: Access) -> CheckFinding:
    name, reply = "sockudo.reachable", access.reply
    if reply is None:
        for error_text, change in _NO_ANSWER:
            if error_text in access.failure:
                return broken(name, access.failure, change.format(setting=access.setting))
        return broken(name, access.failure, _ANY_ANSWER.format(setting=access.setting))
    if reply.status in (502, 504):
        return broken(
            name,
            f"the proxy answers, and the Sockudo behind it does not ({reply})",
            "start Sockudo, or the proxy's upstream",
        )
    if reply.status >= 500:
        change = "wait until it has started or stopped (`draining`), or see its log"
        return broken(name, f"answers {reply}", change)
    if reply.status in (200, 401, 429) or reply.code is not None:
        return fine(name, "answers")
    return broken(
        name,
        f"another server answers ({reply}): Sockudo never gives this answer",
        _ANY_ANSWER.format(setting=access.setting),
    )


def _app(access: Access, reply: ServerReply) -> CheckFinding:
    name = "sockudo.app"
    if reply.status == 404 and reply.code == "app_not_found":
        change = f"the key in {access.setting}, or an app with this key in the server's configuration"
        return broken(name, "the server has no app with this key (404)", change)
    if reply.status == 401 and "does not match route" in reply.message:
        change = f"/apps/... or the key in {access.setting}: both of one app"
        return broken(name, f"the key belongs to another app than {access.app_id} (401)", change)
    if reply.status in (200, 401):
        return fine(name, f"{access.app_id} is known")
    return unknown(name, f"the answer was {reply}", "see sockudo.reachable and sockudo.rate_limit")


def _clock(access: Access, reply: ServerReply) -> CheckFinding:
    name, ahead = "sockudo.clock", access.ahead_s
    change = "synchronise the clocks of both hosts (NTP)"
    where = "" if ahead is None else f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} this host"
    if reply.status == 401 and "imestamp" in reply.message:
        how_far = f"its clock is {where}" if where else "its answer has no Date"
        return broken(name, f"the server refuses requests for their time (401); {how_far}", change)
    if ahead is None:
        return unknown(name, "the answer has no Date", "compare `date -u` on both hosts")
    if abs(ahead) > ALLOWED_S:
        return broken(name, f"the server is {where}; it accepts ±{ALLOWED_S} s", change)
    if abs(ahead) > DRIFT_S:
        return risk(name, f"the server is {where}; it accepts ±{ALLOWED_S} s", change)
    return fine(name, f"{abs(ahead):.0f} s apart; ±{ALLOWED_S} s are accepted")


def _signature(access: Access, reply: ServerReply) -> CheckFinding:
    name = "sockudo.signature"
    if reply.status == 200:
        return fine(name, "accepted")
    if reply.status == 401 and "ignature" in reply.message:
        return broken(name, "refused: the secret is not this app's (401)", f"the secret in {access.setting}")
    if reply.status == 401:
        # The key belongs to another app, or the time is wrong: the server checks both before the signature.
        return unknown(
            name,
            f"the server refused the request before it checked the signature ({reply})",
            "see sockudo.app and sockudo.clock",
        )
    return unknown(name, f"the answer was {reply}", "see sockudo.app and sockudo.rate_limit")

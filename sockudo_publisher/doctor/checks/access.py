"""Whether Sockudo is there, knows the app and accepts its signature: what the answer to an empty batch proves. Pure.

Facts: Sockudo looks at the key first (404), then at the app of the path, the time, and last at the
signature (401 each, told apart by their words alone); seen on 5.2.0, ``crates/sockudo-core/src/auth.rs``.
"""

from __future__ import annotations

from ..facts.server_reply import ServerReply
from ..facts.values import Access
from ..finding import Finding, broken, fine, risk, unknown

__all__ = ["ACCESS_CHECKS", "judge_access"]

ACCESS_CHECKS = ("sockudo.reachable", "sockudo.app", "sockudo.clock", "sockudo.signature")

#: Seconds by which a request's time may differ from the server's clock, either way.
ALLOWED_S = 600
#: Seconds of difference that are worth a word: clocks that are synchronised are closer, and drift goes on.
DRIFT_S = 30

#: What stands in the words of a connection error (client/transport.py), and what to do about it.
_NO_ANSWER = (
    ("host not found", "the host in {setting}, or the name server"),
    ("not a host name", "the host in {setting}"),
    ("refused", "start Sockudo, or correct host and port in {setting}"),
    ("certificate", "a certificate for this host on the server, or its CA in REQUESTS_CA_BUNDLE"),
    ("TLS", "http:// or https:// in {setting}: what the port speaks"),
    ("no complete answer", "see whether the server hangs, or a firewall drops what is sent to it"),
)
_ANY_ANSWER = "host, port and scheme in {setting}"


def judge_access(access: Access) -> list[Finding]:
    """A finding for each of :data:`ACCESS_CHECKS`, in their order."""
    reachable = _reachable(access)
    if access.said is None or access.said.status >= 500:
        rest = [unknown(name, "Sockudo was not reached", "see sockudo.reachable") for name in ACCESS_CHECKS[1:]]
        return [reachable, *rest]
    return [reachable, _app(access, access.said), _clock(access, access.said), _signature(access, access.said)]


def _reachable(access: Access) -> Finding:
    name, said = "sockudo.reachable", access.said
    if said is None:
        for words, change in _NO_ANSWER:
            if words in access.failure:
                return broken(name, access.failure, change.format(setting=access.setting))
        return broken(name, access.failure, _ANY_ANSWER.format(setting=access.setting))
    if said.status in (502, 504):
        return broken(
            name, f"the proxy answers, Sockudo behind it does not ({said})", "start Sockudo, or the proxy's upstream"
        )
    if said.status >= 500:
        change = "wait until it has started or stopped (`draining`), or see its log"
        return broken(name, f"answers {said}", change)
    if said.status in (200, 401, 429) or said.code is not None:
        return fine(name, "answers")
    return broken(name, f"somebody answers {said}, as Sockudo does not", _ANY_ANSWER.format(setting=access.setting))


def _app(access: Access, said: ServerReply) -> Finding:
    name = "sockudo.app"
    if said.status == 404 and said.code == "app_not_found":
        change = f"the key in {access.setting}, or an app with this key in the server's configuration"
        return broken(name, "the server has no app with this key (404)", change)
    if said.status == 401 and "does not match route" in said.words:
        change = f"/apps/... or the key in {access.setting}: both of one app"
        return broken(name, f"the key belongs to another app than {access.app_id} (401)", change)
    if said.status in (200, 401):
        return fine(name, f"{access.app_id} is known")
    return unknown(name, f"the answer was {said}", "see sockudo.reachable and sockudo.rate_limit")


def _clock(access: Access, said: ServerReply) -> Finding:
    name, ahead = "sockudo.clock", access.ahead_s
    change = "synchronise the clocks of both hosts (NTP)"
    where = "" if ahead is None else f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} this host"
    if said.status == 401 and "imestamp" in said.words:
        how_far = f"its clock is {where}" if where else "it does not say its time"
        return broken(name, f"the server refuses requests for their time (401); {how_far}", change)
    if ahead is None:
        return unknown(name, "the answer has no Date", "compare `date -u` on both hosts")
    if abs(ahead) > ALLOWED_S:
        return broken(name, f"the server is {where}; it accepts ±{ALLOWED_S} s", change)
    if abs(ahead) > DRIFT_S:
        return risk(name, f"the server is {where}; it accepts ±{ALLOWED_S} s", change)
    return fine(name, f"{abs(ahead):.0f} s apart; ±{ALLOWED_S} s are accepted")


def _signature(access: Access, said: ServerReply) -> Finding:
    name = "sockudo.signature"
    if said.status == 200:
        return fine(name, "accepted")
    if said.status == 401 and "ignature" in said.words:
        return broken(name, "refused: the secret is not this app's (401)", f"the secret in {access.setting}")
    if said.status == 401:
        # Of the words that are known: another app, the time. Both are looked at before the signature.
        return unknown(name, f"refused before it was looked at ({said})", "see sockudo.app and sockudo.clock")
    return unknown(name, f"the answer was {said}", "see sockudo.app and sockudo.rate_limit")

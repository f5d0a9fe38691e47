"""Names in Redis: one app, lane, channel and key have one key each, in one slot, whatever they are called."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from redis.crc import key_slot

from sockudo_publisher.journal import keys as module
from sockudo_publisher.journal.keys import APPS, AppKeys, Keyspace, QueueKeys, hold_keys, lane_keys, lane_of, ledger_key

pytestmark = pytest.mark.unit

#: A machine under load is slow; that is no fault of what is tested.
unhurried = settings()

#: Anything, and often what means something in a key.
names = st.one_of(st.text(st.characters(exclude_categories=["Cs"])), st.text("{}:%07ab", max_size=6))
apps = names.filter(bool)  # the settings refuse an app without a name
lanes = st.integers(0, 300)


def own(keys: QueueKeys) -> list[str]:
    """What belongs to a queue alone."""
    return [keys.stream, keys.state, keys.lease, keys.gone]


def lane_wide(keys: QueueKeys) -> list[str]:
    return [keys.holds, keys.dead, keys.counts]


def tag(key: str) -> str:
    """What Redis hashes: between the first brace and the next closing one."""
    match = re.search(r"\{([^}]+)\}", key)
    assert match is not None
    return match[1]


@unhurried
@given(apps, lanes, names, names)
def test_everything_of_a_lane_is_in_its_slot(app: str, lane: int, channel: str, key: str) -> None:
    """Its own keys, those of its holds and its ledger; the tag is the only braces in it."""
    keys, hold = lane_keys(app, lane), hold_keys(app, lane, channel)
    found = [*own(keys), *lane_wide(keys), *own(hold), *lane_wide(hold), ledger_key(app, lane, channel, key)]
    assert len({tag(one) for one in found}) == 1
    assert len({key_slot(one.encode()) for one in found}) == 1
    assert all(one.count("{") == one.count("}") == 1 and one.isascii() for one in found)


@unhurried
@given(apps, apps, lanes, lanes)
def test_two_lanes_share_nothing(app: str, other: str, lane: int, other_lane: int) -> None:
    """Nor do two apps, nor an app and a lane."""
    if (app, lane) == (other, other_lane):
        return
    one, two = lane_keys(app, lane), lane_keys(other, other_lane)
    assert tag(one.stream) != tag(two.stream)
    assert {*own(one), *lane_wide(one)}.isdisjoint({*own(two), *lane_wide(two)})
    assert tag(AppKeys.of(app).pause) not in (tag(one.stream), tag(two.stream))


@unhurried
@given(apps, lanes, names, names)
def test_a_hold_is_its_channel_s(app: str, lane: int, channel: str, other: str) -> None:
    """What concerns the lane it shares with it; the rest with no key."""
    keys, hold = lane_keys(app, lane), hold_keys(app, lane, channel)
    assert lane_wide(hold) == lane_wide(keys)
    assert set(own(hold)).isdisjoint(own(keys))
    assert set(own(hold)).isdisjoint(own(hold_keys(app, lane, other))) or channel == other
    assert keys.hold(channel) == hold == hold.hold(channel)
    assert (keys.channel, hold.channel) == (None, channel)


@unhurried
@given(st.lists(st.tuples(names, names), min_size=2, max_size=2, unique=True))
def test_two_keys_are_two_ledger_entries(pairs: list[tuple[str, str]]) -> None:
    """A channel that ends as another's key begins is still another."""
    first, second = (ledger_key("app", 0, channel, key) for channel, key in pairs)
    assert first != second


@unhurried
@given(apps, apps)
def test_what_concerns_an_app_is_under_its_name(app: str, other: str) -> None:
    """Each once, and none of another app's."""
    found = list(AppKeys.of(app))
    assert len(set(found)) == len(found)
    assert all(one.count("{") == one.count("}") == 1 for one in found)
    assert set(found).isdisjoint(AppKeys.of(other)) or app == other


def test_names_of_a_running_journal_never_change() -> None:
    """A new release finds what an old one has left there."""
    keys = lane_keys("my {app}", 3)
    assert keys.stream == "sockudo:{my%20%7Bapp%7D:3}:stream"
    assert keys.hold("a:b").lease == "sockudo:{my%20%7Bapp%7D:3}:hold:a%3Ab:lease"
    assert ledger_key("app", 0, "a/b", "ü") == "sockudo:{app:0}:ledger:a%2Fb:%C3%BC"
    assert AppKeys.of("app").lanes == "sockudo:{app}:lanes"


@pytest.mark.parametrize(("channel", "lane"), [("", 0), ("orders", 6), ("private-x", 0), ("ü", 5)])
def test_a_channel_stays_in_its_lane(channel: str, lane: int) -> None:
    """Over releases and machines: else its events would overtake each other."""
    assert lane_of(channel, 8) == lane


@unhurried
@given(names, st.integers(1, 300))
def test_a_lane_is_one_of_the_lanes(channel: str, count: int) -> None:
    """Whatever their number."""
    assert 0 <= lane_of(channel, count) < count


namespaces = st.text("sockudo-_aZ09", min_size=1, max_size=9).filter(lambda text: text != "sockudo")


def all_keys(keyspace: Keyspace, app: str, lane: int, channel: str, key: str) -> set[str]:
    queues = (keyspace.lane(app, lane), keyspace.hold(app, lane, channel))
    of_queues = {one for keys in queues for one in (*own(keys), *lane_wide(keys))}
    return {keyspace.apps, keyspace.ledger(app, lane, channel, key), *of_queues, *keyspace.app(app)}


@unhurried
@given(namespaces, namespaces, apps, apps, lanes, names, names)
def test_namespaces_share_no_key(
    namespace: str, other: str, app: str, other_app: str, lane: int, channel: str, key: str
) -> None:
    """Whatever their apps are called; one ACL pattern covers a namespace, and no key of another or of none."""
    found = all_keys(Keyspace(namespace), app, lane, channel, key)
    assert all(fnmatchcase(one, f"{namespace}:sockudo:*") for one in found)
    for others in (Keyspace(other if other != namespace else namespace + "x"), Keyspace()):
        strangers = all_keys(others, other_app, lane, channel, key)
        assert found.isdisjoint(strangers)
        assert not any(one.startswith(f"{namespace}:sockudo:") for one in strangers)
    assert not any(one.startswith("sockudo:") for one in found)


@unhurried
@given(namespaces, apps, lanes, names)
def test_namespace_is_outside_of_the_hash_tag(namespace: str, app: str, lane: int, channel: str) -> None:
    """A lane's keys stay in one slot."""
    keyspace = Keyspace(namespace)
    keys, hold = keyspace.lane(app, lane), keyspace.lane(app, lane).hold(channel)
    assert tag(keys.stream) == tag(hold.state) == tag(lane_keys(app, lane).stream)
    assert keyspace.hold(app, lane, channel) == hold


def test_without_a_namespace_nothing_changes() -> None:
    """The plain functions, for tools and tests, are the keys of a journal without one."""
    assert all_keys(Keyspace(), "app", 3, "c", "k") >= {lane_keys("app", 3).stream, hold_keys("app", 3, "c").stream}
    assert (Keyspace().apps, Keyspace().app("app")) == (APPS, AppKeys.of("app"))
    assert APPS == "sockudo:apps"


def test_the_package_asks_its_connection_for_keys() -> None:
    """A module that used the plain names would use those of another deployment."""
    package = Path(module.__file__).parents[1]
    plain = re.compile(r"\b(lane_keys|hold_keys|ledger_key|AppKeys\.of|APPS|PREFIX)\b")
    found = {path.name for path in (package / "journal").glob("*.py") if plain.search(path.read_text(encoding="utf-8"))}
    assert found == {"keys.py"}
    imports = re.compile(r"journal\.keys import .*\b(lane_keys|hold_keys|ledger_key|AppKeys|APPS)\b")
    assert not [path for path in package.rglob("*.py") if imports.search(path.read_text(encoding="utf-8"))]

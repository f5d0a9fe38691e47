"""The estimate of what a JSON text takes is never below what Python takes."""

import contextlib
import json
import tracemalloc

import pytest

from sockudo_publisher.client.http.json_memory import json_bytes

pytestmark = pytest.mark.unit

SIZE = 150_000
# A beginning, what is repeated, and an end.
TEXTS = {
    "empty objects": (b"[", b"{},", b"{}]"),
    "empty lists": (b"[", b"[],", b"[]]"),
    "small objects": (b"[", b'{"":0},', b"0]"),
    "objects in objects": (b"[", b'{"":{}},', b"0]"),
    "chains of objects": (b"[", b'{"":' * 200 + b"0" + b"}" * 200 + b",", b"0]"),
    "chains of lists": (b"[", b"[" * 200 + b"]" * 200 + b",", b"0]"),
    "lists in objects": (b"[", b'{"\xc3\xa9":[]},', b"0]"),
    "objects of six": (b"[", b'{"":0,"a":0,"b":0,"c":0,"d":0,"e":0},', b"0]"),
    "objects of eleven": (b"[", b"{" + b",".join(b'"%x":0' % n for n in range(11)) + b"},", b"0]"),
    "short texts": (b"[", b'"ab",', b'""]'),
    "numbers": (b"[", b"999,", b"0]"),
    "floats": (b"[", b"1e9,", b"0]"),
    "one long text": (b'["', b"a", b'"]'),
    "one long text with an umlaut": (b'["\xc3\xbc', b"a", b'"]'),
    "one long text in another script": (b'["\xe4\xb8\xad', b"a", b'"]'),
    "one long text with an emoji": (b'["\xf0\x9f\x98\x80', b"a", b'"]'),
    "one long text with an escape": (b'["\\ud83d\\ude00', b"a", b'"]'),
    "escapes": (b'["', b"\\u4e2d", b'"]'),
    "one object of many": (b'{"x":0', b"", b"}"),
    "deep": (b"", b"[", b""),
    "no JSON": (b"", b"{", b""),
}


@pytest.mark.parametrize(("begin", "piece", "end"), TEXTS.values(), ids=TEXTS.keys())
def test_estimate_is_not_below_what_python_takes(begin, piece, end):
    """The most that was taken while it was read, with the text itself."""
    middle = piece * (SIZE // len(piece)) if piece else b"".join(b',"%x":%d' % (n, n) for n in range(15_000))
    body = begin + middle + end
    tracemalloc.start()
    try:
        with contextlib.suppress(ValueError, RecursionError):
            parsed = json.loads(body)  # noqa: F841  # kept while it is measured
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(body) + most <= json_bytes(body) + 32_768


def test_estimate_of_ordinary_answers():
    """Far below the bound: a batch of 30,000 receipts, and a page of a hundred events of 10 kB, JSON in JSON."""
    receipts = json.dumps({"batch": [{"acknowledgement_id": f"{n:032x}"} for n in range(30_000)]}).encode()
    assert json_bytes(receipts) < 24_000_000
    event = json.dumps([{"id": n, "price": n / 7, "name": "item"} for n in range(180)])
    page = json.dumps({"items": [{"serial": n, "message": {"data": event}} for n in range(100)]}).encode()
    assert len(page) > 1_000_000
    assert json_bytes(page) < 40_000_000

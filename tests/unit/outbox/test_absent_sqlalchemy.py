"""Without SQLAlchemy its outbox names the extra to install."""

from __future__ import annotations

import importlib
import sys

import pytest

pytestmark = pytest.mark.unit

MODULE = "sockudo_publisher.outbox.sqlalchemy"


def test_without_sqlalchemy_the_extra_is_named(monkeypatch):
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'sockudo-publisher\[sqlalchemy\]'") as raised:
        importlib.import_module(MODULE)
    assert raised.value.name == "sqlalchemy"

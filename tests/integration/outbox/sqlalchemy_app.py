"""An application with SQLAlchemy, as a process of its own: adds, or relays."""

from __future__ import annotations

import os
import signal
import sys

from sqlalchemy import Column, Integer, MetaData, Table, create_engine
from sqlalchemy.orm import Session

from sockudo_publisher.outbox.sqlalchemy import Outbox

metadata = MetaData()
orders = Table("orders", metadata, Column("id", Integer, primary_key=True, autoincrement=False))
outbox = Outbox(metadata)


def engine(url: str):
    """The engine of a `sqlite:`, `postgresql:` or `mysql+pymysql:` URL."""
    return create_engine(url.replace("postgresql:", "postgresql+psycopg:"))


if __name__ == "__main__":
    command, url, *rest = sys.argv[1:]
    if command == "relay":
        print(outbox.relay(engine(url), batch=int(rest[0])), flush=True)
    elif command == "run":
        outbox.run(engine(url), batch=int(rest[0]), every_s=0.02)
    elif command == "order":  # and die with the commit, before the relay is woken
        with Session(engine(url)) as session, session.begin():
            session.execute(orders.insert().values(id=int(rest[0])))
            outbox.add(session, "orders", "n", {"n": int(rest[0])})
        os.kill(os.getpid(), signal.SIGKILL)

"""Sell tickets: the order and its event are in one transaction, so that both are stored or neither.

    pip install 'sockudo-publisher[sqlalchemy]'
    SOCKUDO_URL=http://key:secret@127.0.0.1:6001/apps/app python examples/tickets.py sqlite:///tickets.db matinee 3

The relay runs here once, at the end; in production it is a process of its own: ``outbox.run(engine)``.
A worker delivers.
"""

import sys

from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from sockudo_publisher.outbox.sqlalchemy import Outbox

metadata = MetaData()
seats = Table(
    "seats", metadata, Column("show", String(50), primary_key=True), Column("seat", Integer, primary_key=True)
)
outbox = Outbox(metadata)


def sell(session: Session, show: str, seat: int) -> None:
    """Sell one seat and publish it to the show's channel; if it is sold already, publish nothing."""
    outbox.add(session, f"seats-{show}", "sold", {"seat": seat})
    session.execute(seats.insert().values(show=show, seat=seat))


def main(url: str, show: str, count: int) -> None:
    """Sell the seats 1 to count, and try to sell the last one twice."""
    engine = create_engine(url)
    metadata.create_all(engine)
    for seat in [*range(1, count + 1), count]:
        try:
            with Session(engine) as session, session.begin():
                sell(session, show, seat)
        except IntegrityError:
            print(f"seat {seat} is sold already")
    print(f"{outbox.relay(engine).stored} events stored")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))

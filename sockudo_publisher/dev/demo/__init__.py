"""An airport departures board fed through the whole product, from nothing, with one command.

``flights`` reads real departures, ``timetable`` turns them into numbered messages, ``tally`` compares
what was published with what was seen; all three are pure. ``board`` and ``page`` serve the page,
``watcher`` is a WebSocket subscriber, ``replay`` publishes, and ``run`` starts and ends the parts.

May import the public names of the package and ``embedded``; nothing imports it but ``cli``, and ``bench`` the tally.
"""

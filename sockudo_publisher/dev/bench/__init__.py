"""What a machine and a deployment can do, measured in well under a minute: ``sockudo-publisher bench``.

``plan`` says how much is published, ``load`` makes the events, ``subscriber`` is the WebSocket at the other
end, ``measure`` publishes and takes times, ``figures`` makes numbers and tables of them; ``plan``, ``load``
and ``figures`` are pure. The parts it runs on are started by ``cli``, on the demo's stage, or are the deployment's.

May import the public names of the package, ``operations``, ``embedded`` and the demo's ``tally``; nothing imports
it but ``cli``. The comparison with other packages is another thing: ``benchmarks/``, for developers.
"""

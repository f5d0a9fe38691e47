"""For development: real parts as child processes, a server that behaves as Sockudo, the demo, the bench."""

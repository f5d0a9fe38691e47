"""What goes over the wire: events, their limits, encoding, encryption, parameters and paths. No I/O."""

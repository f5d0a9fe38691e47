"""The outbox's table under its own label, then the models without tables."""

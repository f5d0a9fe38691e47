"""Pages of the admin: dead letters, rows of the outbox, scheduled events. ``admin`` loads them: they need models."""

"""For development and demonstration: embedded parts, the dev-server, the demo, the bench. No other room needs it."""

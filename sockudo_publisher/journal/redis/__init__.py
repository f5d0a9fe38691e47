"""The connection to Redis, the scripts, and what an error reply of Redis proves."""

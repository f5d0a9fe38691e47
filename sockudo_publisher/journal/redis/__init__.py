"""The journal's way to Redis: the connection, the scripts, and what an error of Redis proves."""

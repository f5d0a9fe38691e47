"""Requests to Sockudo: signing, sending within a deadline, retries, reading the answer."""

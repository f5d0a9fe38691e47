"""Transactional outbox: an event is stored with the caller's own rows, or not at all (docs/transactions.md).

``row`` and ``relay`` are the outbox without a framework; ``sqlalchemy`` and ``django`` are one module per
framework, each of which imports its own and is imported by its users alone.
"""

"""Transactional outbox: an event is stored with the caller's own rows, or not at all (docs/transactions.md).

``row`` and ``relay`` need no framework. ``sqlalchemy`` and ``django`` each import their framework, so only its users
import them.
"""

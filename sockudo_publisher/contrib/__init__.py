"""Packages for web frameworks, one module or package each; they do not import each other.

FastAPI's alone builds on another, Starlette's. ``permissions``, ``webhooks``, ``endpoints``, ``calls`` and
``pusher_js`` are what they share, and know no framework. Nothing here is imported by another room.
"""

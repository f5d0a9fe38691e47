"""Packages for web frameworks, one module or package each; they do not import each other.

``permissions`` and ``webhooks`` are what they share, and know no framework. Nothing here is imported by another room.
"""

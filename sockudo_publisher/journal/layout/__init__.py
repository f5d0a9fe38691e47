"""How many lanes an app has, and how that number changes while everything runs."""

"""What people do today, as its own documentation shows it: a task per event, celery-batches, the SDK in a loop.

The modules of this room run in workers of their own and know nothing of this package; `environment` installs what
they need.
"""

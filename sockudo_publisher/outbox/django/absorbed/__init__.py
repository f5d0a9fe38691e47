"""What ``sockudo_publisher.outbox.django`` is beside ``sockudo_publisher.contrib.django``: an app without any content.

Its models, migrations and commands are those of ``contrib.django``, which has the same label.
"""

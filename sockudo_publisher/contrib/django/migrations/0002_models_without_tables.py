"""The models without tables, whose permissions `migrate` creates."""

from django.db import migrations, models


class Migration(migrations.Migration):  # type: ignore[misc]
    """Written by `makemigrations`."""

    dependencies: list[tuple[str, str]] = [("sockudo_outbox", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="DeadLetter",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
            ],
            options={
                "verbose_name": "dead letter",
                "permissions": [
                    ("replay_deadletter", "Can replay dead letters"),
                    ("purge_deadletter", "Can purge dead letters"),
                    ("view_deadletter_payload", "Can see the payloads of dead letters"),
                ],
                "managed": False,
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="ScheduledEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
            ],
            options={
                "verbose_name": "scheduled event",
                "permissions": [("cancel_scheduledevent", "Can cancel scheduled events")],
                "managed": False,
                "default_permissions": ("view",),
            },
        ),
    ]

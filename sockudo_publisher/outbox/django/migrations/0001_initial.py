"""The outbox's table."""

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):  # type: ignore[misc]
    """Written by `makemigrations`."""

    initial = True

    dependencies: list[tuple[str, str]] = []

    operations = [
        migrations.CreateModel(
            name="OutboxRow",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("app", models.TextField()),
                ("channel", models.CharField(max_length=200)),
                ("message_id", models.CharField(max_length=128)),
                ("fingerprint", models.CharField(max_length=32)),
                ("body", models.BinaryField()),
                ("collapse", models.CharField(blank=True, default="", max_length=128)),
                ("parked", models.TextField(null=True)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "verbose_name": "event",
                "db_table": "sockudo_outbox",
            },
        ),
    ]

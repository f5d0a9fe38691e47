"""The collapse key of an event."""

from django.db import migrations, models


class Migration(migrations.Migration):  # type: ignore[misc]
    """Written by `makemigrations`."""

    dependencies = [("sockudo_outbox", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="outboxrow",
            name="collapse",
            field=models.CharField(blank=True, default="", max_length=128),
        ),
    ]

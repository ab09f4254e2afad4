"""A delivery is remembered until a time of its own: its events longer than itself."""

from datetime import timedelta

from django.db import migrations, models
from django.db.models import F


def _date_by_end(apps, schema_editor):
    apps.get_model("projects", "HookDelivery").objects.update(until=F("until") + timedelta(days=7))


class Migration(migrations.Migration):

    dependencies = [
        ('projects', '0004_erasure_orders'),
    ]

    operations = [
        migrations.RemoveIndex(model_name='hookdelivery', name='projects_ho_connect_e7915f_idx'),
        migrations.RenameField(model_name='hookdelivery', old_name='at', new_name='until'),
        migrations.AlterField(
            model_name='hookdelivery',
            name='until',
            field=models.DateTimeField(help_text='From when on it is forgotten.'),
        ),
        migrations.AlterField(
            model_name='hookdelivery',
            name='key',
            field=models.CharField(help_text="SHA-256 of the body, of the sender's id for it, or of an event's id.", max_length=64),
        ),
        migrations.AddIndex(
            model_name='hookdelivery',
            index=models.Index(fields=['connector', 'until'], name='projects_ho_connect_e418d1_idx'),
        ),
        migrations.RunPython(_date_by_end, migrations.RunPython.noop),
    ]

"""The table in which Django records what was applied."""

# As django.db.migrations.recorder.MigrationRecorder.Migration has it. Here by itself, as the
# rehearsal's own process imports no driver before the project's settings do.
HISTORY = "django_migrations"

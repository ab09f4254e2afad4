"""The vocabulary every stage shares: frozen types and the clock. No Django, no database, no Celery."""

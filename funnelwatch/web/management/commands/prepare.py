"""`funnelwatch prepare`."""

from typing import Any

from funnelwatch import pipeline
from funnelwatch.store.client import StoreError
from funnelwatch.web.errors import Error
from funnelwatch.web.management.base import Command as Base
from funnelwatch.web.preparation import prepare_database
from funnelwatch.web.progress import Progress


class Command(Base):
    help = "Bring both stores up to date. Server mode runs it once before the others start; `up` does it by itself."

    def work(self, options: dict[str, Any], progress: Progress) -> dict[str, Any]:
        prepare_database()
        try:
            pipeline.start()
        except StoreError as error:
            raise Error(str(error)) from error
        pipeline.stop()
        return {"ok": True}

    def summary(self, result: dict[str, Any]) -> str:
        return "Both stores are up to date."

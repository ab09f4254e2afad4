"""The web process: ingest's addresses go to ingest's own small application, everything else to Django.

Ingest comes before Django's request stack because that stack costs fourteen times the work of taking an event.
"""

import asyncio
import os
from contextlib import ExitStack
from typing import Any

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "funnelwatch.settings")
pages = get_asgi_application()  # sets Django up; the imports below need that

from funnelwatch import pipeline  # noqa: E402
from funnelwatch.ingest.api import handles  # noqa: E402
from funnelwatch.web.serving import serving  # noqa: E402

ingest = pipeline.ingest_app()


async def application(scope: Any, receive: Any, send: Any) -> None:
    """The ASGI entry point."""
    if scope["type"] == "lifespan":
        await _live(receive, send)
    elif scope["type"] == "http" and handles(scope["path"]):
        await ingest(scope, receive, send)
    else:
        await pages(scope, receive, send)


application.ingest = ingest  # a `web.connection.Connection` hands it what came in whole


async def _live(receive: Any, send: Any) -> None:
    """Open the stores before the first request and close them after the last one."""
    await receive()
    with ExitStack() as stack:
        try:
            await asyncio.to_thread(stack.enter_context, serving())
        except Exception as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            raise
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.to_thread(stack.close)
    await send({"type": "lifespan.shutdown.complete"})

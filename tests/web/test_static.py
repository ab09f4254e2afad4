"""Static files as an ASGI server asks for them."""

import asyncio
import warnings
from typing import Any

from django.contrib.staticfiles import finders
from django.test import AsyncClient

PATH = "/static/fw/fw.css"


def get(method: str = "get", **headers: str) -> Any:
    """The answer; a warning fails the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return asyncio.run(getattr(AsyncClient(), method)(PATH, headers=headers))


def test_a_file_is_answered_whole_in_part_or_not_again_and_without_a_warning(db: None) -> None:
    with open(finders.find("fw/fw.css"), "rb") as file:
        content = file.read()
    whole = get()
    assert (whole.status_code, whole.content, whole.headers["Content-Type"]) == (200, content, 'text/css; charset="utf-8"')
    assert whole.headers["Content-Length"] == str(len(content))
    part = get(**{"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, content[10:20])
    unchanged = get(**{"If-None-Match": whole.headers["ETag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert "Content-Type" not in unchanged.headers
    head = get("head")
    assert (head.status_code, head.content, head.headers["Content-Length"]) == (200, b"", str(len(content)))
    assert get("post").status_code == 405

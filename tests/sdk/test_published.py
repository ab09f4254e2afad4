"""What the product serves of the browser SDK, to pages that carry the names of any version."""

import base64
import hashlib
import json

from django.test import Client

from tests.sdk.shop import DIST, SDK


def test_the_files_of_every_version_are_served_with_the_bytes_their_pages_expect(db: None) -> None:
    published = json.loads((SDK / "published.json").read_text())
    current = json.loads((DIST / "manifest.json").read_text())["version"]
    assert [name for name in published if not name.startswith(f"funnelwatch-{current}.")], "an earlier version is among them"
    for name, integrity in published.items():
        response = Client().get(f"/sdk/{name}")
        assert response.status_code == 200, name
        assert integrity == "sha384-" + base64.b64encode(hashlib.sha384(response.content).digest()).decode()
        assert "immutable" in response.headers["Cache-Control"]

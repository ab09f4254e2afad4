"""Rotating and revoking a write key on a running shop, by the page and by the API: what ingest then answers, and how soon."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.platform.processes import Up, result, up, wait_until

#: A revoked key is refused within 2 s; the rest is this machine's.
PROMISED = 3
KEY = re.compile(r">(wk_[\w-]+)</p>")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys") / "var"


@pytest.fixture(scope="module")
def made(data: Path) -> dict[str, str]:
    """The shop as `init` made it."""
    return result("init", "--project", "shop", data=data)


@pytest.fixture(scope="module")
def running(data: Path, made: dict[str, str]) -> Iterator[Up]:
    with up(data) as process:
        yield process


def send(running: Up, key: str) -> int:
    return httpx.post(f"{running.url}/v1/track", json={"event": "Key Tried", "anonymousId": "v", "writeKey": key}).status_code


def is_refused_in_time(running: Up, old: str, new: str) -> None:
    """The old key is refused as promised, and the new one, which is known already, is not meanwhile."""
    begun = time.monotonic()
    while send(running, old) != 401:
        assert time.monotonic() - begun < PROMISED
        assert send(running, new) == 200
        time.sleep(0.05)
    assert send(running, new) == 200


def test_a_key_rotated_and_revoked_by_the_api_is_refused_and_the_new_one_works(running: Up, made: dict[str, str]) -> None:
    with httpx.Client(base_url=f"{running.url}/api/v1", headers={"Authorization": f"Bearer {made['api_token']}"}) as api:
        first = api.post("/keys/", json={"name": "app"}).json()
        wait_until(lambda: send(running, first["key"]) == 200, PROMISED)
        second = api.post(f"/keys/{first['id']}/rotate/").json()
        wait_until(lambda: send(running, second["key"]) == 200, PROMISED)
        assert send(running, first["key"]) == 200  # until it is revoked, so that no event is lost while the shop changes over
        assert api.delete(f"/keys/{first['id']}/").status_code == 204
        is_refused_in_time(running, first["key"], second["key"])


def test_a_key_rotated_and_revoked_on_the_settings_page_is_refused_and_the_new_one_works(running: Up, made: dict[str, str]) -> None:
    with httpx.Client(base_url=running.url, follow_redirects=True) as browser:
        sign_in = {"username": made["admin_email"], "password": made["admin_password"]}

        def submit(path: str, **fields: str) -> str:
            answer = browser.post(path, data={"csrfmiddlewaretoken": browser.cookies["csrftoken"], **fields})
            assert answer.status_code == 200
            return answer.text

        browser.get("/login/")
        submit("/login/", **sign_in)
        page = browser.get("/p/shop/settings/").text
        rotate = re.search(r'action="([^"]+/rotate/)"', page.split(f">{made['write_key']}</p>")[1])[1]
        (new,) = set(KEY.findall(submit(rotate))) - set(KEY.findall(page))
        wait_until(lambda: send(running, new) == 200, PROMISED)
        assert send(running, made["write_key"]) == 200
        assert "is refused within 2 seconds" in submit(rotate.replace("rotate", "revoke"))
        is_refused_in_time(running, made["write_key"], new)

"""What machines and other sites get: the SDK, probes, headers, error pages."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.test import Client, RequestFactory, override_settings

from funnelwatch import config, pipeline
from funnelwatch.core import clock
from funnelwatch.incidents.models import Incident
from funnelwatch.projects.models import Project, WriteKey
from funnelwatch.store.client import StoreUnavailable
from funnelwatch.web import sdk, throttle
from funnelwatch.web.data import stored


def test_the_loader_carries_the_shops_key_and_is_asked_for_again_cheaply(shop: Project) -> None:
    first = Client().get("/js/wk_known.js")
    assert first.headers["Cache-Control"] == "public, max-age=60"
    assert first.headers["Access-Control-Allow-Origin"] == "*"
    text = first.content.decode()
    assert '"key": "wk_known"' in text
    assert '"host": "http://testserver"' in text
    assert "__FUNNELWATCH_CONFIG__" not in text
    again = Client().get("/js/wk_known.js", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    Project.objects.update(property_deny_list=["email"])
    assert Client().get("/js/wk_known.js", headers={"If-None-Match": first.headers["ETag"]}).status_code == 200


def test_a_setting_cannot_break_out_of_the_loader(shop: Project) -> None:
    Project.objects.update(property_deny_list=["</script><script>alert(1)"])
    assert "</script>" not in Client().get("/js/wk_known.js").content.decode()


def test_a_revoked_key_has_no_loader(shop: Project) -> None:
    WriteKey.objects.update(revoked_at=clock.now())
    assert Client().get("/js/wk_known.js").status_code == 404


def test_sdk_files_are_immutable_and_match_their_published_integrity(db: None) -> None:
    manifest = json.loads((sdk.DIST / "manifest.json").read_text())
    for entry in (manifest, *manifest["addons"].values()):
        response = Client().get(f"/sdk/{entry['file']}")
        assert "immutable" in response.headers["Cache-Control"]
        assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert entry["integrity"] == "sha384-" + base64.b64encode(hashlib.sha384(response.content).digest()).decode()


@pytest.mark.parametrize("name", ["manifest.json", "loader.js", "..%2f..%2fpackage.json", "nothing.js"])
def test_only_published_sdk_files_are_served(db: None, name: str) -> None:
    assert Client().get(f"/sdk/{name}").status_code == 404


def test_pages_allow_no_inline_script_and_no_framing(alice: Client, incident: Incident) -> None:
    response = alice.get(f"/incidents/{incident.pk}/")
    policy = response.headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "style-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert response.headers["X-Frame-Options"] == "DENY"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert "<script>" not in response.content.decode()


def test_every_static_file_a_page_names_is_there(alice: Client, incident: Incident) -> None:
    names = set(re.findall(r'"/static/([^"]+)"', alice.get(f"/incidents/{incident.pk}/").content.decode()))
    assert len(names) >= 7
    assert all(finders.find(name) for name in names)


@pytest.fixture
def serving(db: None) -> Iterator[None]:
    """A process that takes events."""
    pipeline.ingest_app()
    pipeline.start()
    yield
    pipeline.stop()


def test_probes_say_alive_and_ready(serving: None) -> None:
    assert Client().get("/healthz").json() == {"ok": True}
    ready = Client().get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"ok": True, "checks": {"database": "ok", "spool": "ok", "event_store": "ok", "drain": "ok"}})


def test_without_its_event_store_a_process_is_ready_for_events_and_says_what_is_wrong(serving: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise StoreUnavailable("no answer from 9000")

    monkeypatch.setattr(stored, "client", away)
    ready = Client().get("/readyz")
    assert (ready.status_code, ready.json()["ok"], ready.json()["checks"]["event_store"]) == (200, True, "no answer from 9000")


def test_an_event_store_that_says_nothing_does_not_keep_the_probe_waiting(serving: None, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = threading.Event()
    monkeypatch.setattr(stored, "client", lambda: asked.wait(10))
    ready = Client().get("/readyz")
    asked.set()
    assert (ready.status_code, ready.json()["checks"]["event_store"]) == (200, "no answer within 1 s")


def test_a_process_that_can_make_no_event_durable_is_not_ready(db: None) -> None:
    with config.override(spool_max_mb=-1):
        pipeline.ingest_app()
    ready = Client().get("/readyz")
    pipeline.stop()
    assert (ready.status_code, ready.json()["ok"]) == (503, False)
    assert "the spool has reached its cap" in ready.json()["checks"]["spool"]


def test_metrics_count_open_incidents(incident: Incident) -> None:
    text = Client().get("/metrics").content.decode()
    assert "\nfunnelwatch_open_incidents 1\n" in text


def test_an_address_that_does_not_exist_has_a_page_in_the_look(db: None) -> None:
    response = Client().get("/nothing/here/")
    assert response.status_code == 404
    assert "Nothing is here" in response.content.decode()


def test_a_fault_of_ours_has_a_page_in_the_look(alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(stored, "client", broken)
    alice.raise_request_exception = False
    response = alice.get("/p/loomlane/")
    assert response.status_code == 500
    assert "Something broke on our side" in response.content.decode()


@override_settings(TRUSTED_PROXIES=("10.0.0.0/8",))
def test_behind_a_trusted_proxy_the_client_is_who_the_proxy_says() -> None:
    def address(peer: str, forwarded: str) -> str:
        return throttle.client_address(RequestFactory().get("/", REMOTE_ADDR=peer, headers={"X-Forwarded-For": forwarded}))

    assert settings.TRUSTED_PROXIES == ("10.0.0.0/8",)
    assert address("10.1.2.3", "6.6.6.6, 198.51.100.7, 10.9.9.9") == "198.51.100.7"
    assert address("203.0.113.5", "198.51.100.7") == "203.0.113.5"
    assert address("10.1.2.3", "junk") == "junk"

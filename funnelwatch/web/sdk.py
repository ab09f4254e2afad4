"""The browser SDK's built files and what a shop puts into its page."""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.conf import settings

from funnelwatch.projects.models import Project, WriteKey

DIST = settings.BASE_DIR.parent / "sdk" / "browser" / "dist"


@dataclass(frozen=True, slots=True)
class Build:
    """What is in dist: the current version's loader, snippet and core, and the immutable files of every version by name."""

    loader: str
    snippet: str
    file: str
    integrity: str
    files: dict[str, Path]


@cache
def build() -> Build:
    """The committed build. Raises FileNotFoundError when `sdk/browser/dist` is not there."""
    manifest = json.loads((DIST / "manifest.json").read_text())
    return Build(
        loader=(DIST / "loader.js").read_text(),
        snippet=(DIST / "snippet.html").read_text(),
        file=manifest["file"],
        integrity=manifest["integrity"],
        # Earlier versions as well: a loader in somebody's cache still asks for the one it was made for.
        files={path.name: path for path in DIST.glob("funnelwatch-*.js")},
    )


def loader(key: WriteKey, host: str) -> tuple[str, str]:
    """The configured loader of a key and its ETag. `host` is where the browser reached us, scheme included."""
    project: Project = key.project
    made = build()
    config = {
        "key": key.key,
        "host": host,
        "sdk": f"{host}/sdk/{made.file}",
        "integrity": made.integrity,
        "settings": {
            "honourDnt": project.honour_dnt,
            "honourGpc": project.honour_gpc,
            "deny": project.property_deny_list,
        },
    }
    # "<" is escaped so that the text stays harmless if a page inlines it.
    text = made.loader.replace("__FUNNELWATCH_CONFIG__", json.dumps(config, sort_keys=True).replace("<", "\\u003c"))
    return text, f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def snippet(key: WriteKey, host: str) -> str:
    """The lines to paste into every page of the shop, before other scripts."""
    return build().snippet.replace("__FUNNELWATCH_LOADER__", f"{host}/js/{key.key}.js").strip()

"""What is committed is what the source builds to, small enough, and whole."""

import base64
import gzip
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.sdk.shop import DIST, SDK


def run(*command: str) -> str:
    """Runs a command in sdk/browser and returns what it printed; a failure shows it."""
    done = subprocess.run(command, cwd=SDK, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"}, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module", autouse=True)
def toolchain() -> None:
    """esbuild and TypeScript at the locked versions."""
    if not (SDK / "node_modules" / ".package-lock.json").exists():
        run("npm", "ci", "--no-audit", "--no-fund")


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def integrity_of(path: Path) -> str:
    """As a script element's `integrity` has it."""
    return "sha384-" + base64.b64encode(hashlib.sha384(path.read_bytes()).digest()).decode()


def test_the_committed_build_is_what_the_source_builds_to(tmp_path: Path) -> None:
    # Into a copy, because the files of earlier versions are kept.
    shutil.copytree(DIST, tmp_path / "dist")
    (tmp_path / "dist" / "left-over.js").touch()
    run("node", "build.mjs", str(tmp_path / "dist"))
    built = files_of(tmp_path / "dist")
    committed = files_of(DIST)
    assert sorted(built) == sorted(committed)
    assert [name for name in built if built[name] != committed[name]] == [], "run `npm --prefix sdk/browser run build` and commit dist"


def test_the_core_is_at_most_four_kilobytes() -> None:
    core = json.loads((DIST / "manifest.json").read_text())["file"]
    assert len(gzip.compress((DIST / core).read_bytes(), 9, mtime=0)) <= 4096
    assert "core" in run("npm", "run", "--silent", "size")


def test_a_published_name_never_changes_its_bytes() -> None:
    published = json.loads((SDK / "published.json").read_text())
    present = {path.name: integrity_of(path) for path in sorted(DIST.glob("funnelwatch-*.js"))}
    assert published == present, (
        "Browsers keep these files for a year and refuse other bytes under the same name. Where a file changed: put it back, raise the version in "
        "sdk/browser/package.json and package-lock.json and run `npm --prefix sdk/browser run build`, which keeps the earlier versions' files. "
        "Where one is new: add its name and integrity to sdk/browser/published.json."
    )


def test_the_manifest_s_integrity_is_that_of_its_files() -> None:
    manifest = json.loads((DIST / "manifest.json").read_text())
    for entry in (manifest, *manifest["addons"].values()):
        assert entry["integrity"] == integrity_of(DIST / entry["file"])
        assert manifest["version"] in entry["file"]
        assert entry["integrity"] in (DIST / "loader.js").read_text() or entry is manifest


def test_each_placeholder_of_the_server_stands_once() -> None:
    assert (DIST / "loader.js").read_text().count("__FUNNELWATCH_CONFIG__") == 1
    assert (DIST / "snippet.html").read_text().count("__FUNNELWATCH_LOADER__") == 1


def test_the_types_hold_and_a_shop_s_code_is_checked_against_them(tmp_path: Path) -> None:
    run("npm", "run", "--silent", "types")
    shop = tmp_path / "shop.ts"
    shop.write_text(f"""
      import {{ funnelwatch, type Settings }} from "{DIST}/types/index";
      const settings: Settings = {{ key: "k", host: "https://watch.shop.example", addons: ["errors"], consent: "pending" }};
      funnelwatch.init(settings);
      funnelwatch.purchase({{ transaction_id: "1", currency: "INR", value: 1, items: [{{ item_id: "a", price: 1, quantity: 1 }}] }});
      // @ts-expect-error a consent state has to be one of three
      funnelwatch.consent("maybe");
      // @ts-expect-error a price is a number
      funnelwatch.view_item({{ items: [{{ item_id: "a", price: "1" }}] }});
    """)
    options = ("--ignoreConfig", "--noEmit", "--strict", "--module", "esnext", "--moduleResolution", "bundler", "--target", "es2020")
    run("node_modules/.bin/tsc", *options, str(shop))


def test_the_unit_tests_pass() -> None:
    assert "# fail 0" in run("npm", "test", "--silent")


def test_the_package_has_the_build_and_no_dependencies() -> None:
    package = json.loads((SDK / "package.json").read_text())
    assert "dependencies" not in package
    packed = {entry["path"] for entry in json.loads(run("npm", "pack", "--dry-run", "--json", "--silent"))[0]["files"]}
    assert {"package.json", "dist/esm/index.js", "dist/types/index.d.ts", f"dist/funnelwatch-{package['version']}.js"} <= packed
    assert not any(path.startswith(("src/", "test/")) for path in packed)


def test_the_lock_names_no_download_address() -> None:
    assert "resolved" not in (SDK / "package-lock.json").read_text()

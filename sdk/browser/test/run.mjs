// Bundles the unit tests and runs them in node's own runner.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const out = mkdtempSync(tmpdir() + "/funnelwatch-unit-");
const tests = readdirSync(here).filter((file) => file.endsWith(".test.ts"));
await build({
  entryPoints: tests.map((file) => here + file),
  outdir: out,
  outExtension: { ".js": ".mjs" },
  bundle: true,
  platform: "node",
  format: "esm",
  define: { VERSION: '"0.0.0"' },
});
try {
  execFileSync(process.execPath, ["--test", "--test-reporter=tap", ...tests.map((file) => `${out}/${file.replace(/ts$/, "mjs")}`)], { stdio: "inherit" });
} catch {
  process.exitCode = 1; // the runner has said what failed
} finally {
  rmSync(out, { recursive: true });
}

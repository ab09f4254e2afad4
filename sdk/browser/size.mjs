// Prints what a shopper downloads, and fails when the part every page loads grows past its budget.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const CORE_LIMIT = 4096;
const dist = fileURLToPath(new URL("dist/", import.meta.url));
const manifest = JSON.parse(readFileSync(dist + "manifest.json", "utf8"));
const gzipped = (file) => gzipSync(readFileSync(dist + file), { level: 9 }).length;

const rows = [["core", manifest.file], ...Object.entries(manifest.addons).map(([name, { file }]) => [name, file]),
  ["loader", "loader.js"], ["snippet", "snippet.html"]];
for (const [name, file] of rows) {
  console.log(`${name.padEnd(12)} ${String(gzipped(file)).padStart(6)} B gzip   ${file}`);
}
const core = gzipped(manifest.file);
if (core > CORE_LIMIT) {
  console.error(`the core is ${core} bytes gzipped, ${core - CORE_LIMIT} over its budget of ${CORE_LIMIT}`);
  process.exit(1);
}

// Builds everything a shop or the server takes into dist/ (or the folder given), the same bytes every time.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { build, transform } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const out = process.argv[2] ?? here + "dist";
const { version } = JSON.parse(readFileSync(here + "package.json", "utf8"));

/** A module of ours that builds the rest, here. */
async function own(file) {
  const { code } = await transform(readFileSync(here + file, "utf8"), { loader: "ts" });
  return import("data:text/javascript," + encodeURIComponent(code));
}
const { ADDONS, COMMERCE } = await own("src/names.ts");

const define = { VERSION: JSON.stringify(version) };
const common = { bundle: true, minify: true, target: "es2020", legalComments: "none", charset: "utf8", absWorkingDir: here };

/** One self-contained script as text. */
async function script(options) {
  const result = await build({ ...common, format: "iife", write: false, ...options, define: { ...define, ...options.define } });
  return result.outputFiles[0].text;
}

const write = (file, text) => writeFileSync(`${out}/${file}`, text);
const integrity = (text) => "sha384-" + createHash("sha384").update(text).digest("base64");

/** Writes an immutable file and returns its entry for the manifest. */
function publish(file, text) {
  write(file, text);
  return { file, integrity: integrity(text) };
}

// Pages and caches out there ask for the immutable files of earlier versions as well: those stay.
mkdirSync(out, { recursive: true });
for (const file of readdirSync(out)) {
  const earlier = file.startsWith("funnelwatch-") && !file.startsWith(`funnelwatch-${version}.`);
  if (!earlier) rmSync(`${out}/${file}`, { recursive: true });
}

const addons = {};
for (const name of ADDONS) {
  const contents = `import addon from "./src/addons/${name}"; window.funnelwatch.use(addon);`;
  addons[name] = publish(`funnelwatch-${version}.${name}.js`, await script({ stdin: { contents, resolveDir: here } }));
}
const core = publish(`funnelwatch-${version}.js`, await script({ entryPoints: ["src/global.ts"] }));
write("manifest.json", JSON.stringify({ version, ...core, addons }, null, 2) + "\n");

const hashes = Object.fromEntries(ADDONS.map((name) => [name, addons[name].integrity]));
write("loader.js", await script({ entryPoints: ["src/loader.ts"], define: { ADDON_INTEGRITY: JSON.stringify(hashes) } }));
write("snippet.html", `<script>${(await script({ entryPoints: ["src/snippet.ts"] })).trim()}</script>\n`);

write("shopify-pixel.js", await script({ entryPoints: ["src/shopify.ts"] }));

// GTM takes source in its own sandboxed dialect: types stripped, nothing bundled or renamed.
const gtm = await transform(readFileSync(here + "src/gtm.ts", "utf8"), {
  loader: "ts",
  target: "es2020",
  define: { COMMERCE_EVENTS: JSON.stringify(COMMERCE) },
});
write("gtm-template.tpl", readFileSync(here + "variants/gtm-template.tpl", "utf8").replace("{{SANDBOXED_JS}}", () => gtm.code.trim()));

await build({
  ...common,
  format: "esm",
  splitting: true,
  entryPoints: { index: "src/index.ts", ...Object.fromEntries(ADDONS.map((name) => [`addons/${name}`, `src/addons/${name}.ts`])) },
  outdir: `${out}/esm`,
  chunkNames: "chunks/[name]-[hash]",
  define,
});

// Declarations of the public part only.
const types = mkdtempSync(tmpdir() + "/funnelwatch-types-");
execFileSync(here + "node_modules/.bin/tsc", ["-p", here + "tsconfig.types.json", "--outDir", types], { stdio: "inherit" });
mkdirSync(`${out}/types`);
for (const file of ["index.d.ts", "types.d.ts", "names.d.ts"]) copyFileSync(`${types}/${file}`, `${out}/types/${file}`);
rmSync(types, { recursive: true });

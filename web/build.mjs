// Bundles the page: `node build.mjs OUT`. OUT already holds model.onnx and model.json, which tools/demo.py writes.
import { createHash } from "node:crypto";
import { copyFileSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { build } from "esbuild";

const out = process.argv[2];
const source = (name) => join(import.meta.dirname ?? dirname(new URL(import.meta.url).pathname), "src", name);
const runtime = dirname(createRequire(import.meta.url).resolve("onnxruntime-web/wasm"));

await build({
  entryPoints: [source("main.js"), source("worker.js")],
  outdir: out,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2020",
  legalComments: "eof",
  logLevel: "error",
  // The variant that keeps the glue of its WebAssembly in a file of its own: its threads start from that file.
  alias: { "onnxruntime-web/wasm": join(runtime, "ort.wasm.min.mjs") },
});
for (const name of ["index.html", "style.css", "icon.svg", "manifest.webmanifest", "unsupported.js"])
  copyFileSync(source(name), join(out, name));
for (const name of ["ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"])
  copyFileSync(join(runtime, name), join(out, name));

// The service worker keeps every file. Its own text changes with any of them, and so the browser installs it anew.
const files = readdirSync(out).sort();
const digest = createHash("sha256");
for (const name of files) digest.update(name).update(readFileSync(join(out, name)));
const serviceWorker = readFileSync(source("service-worker.js"), "utf8")
  .replace('"__VERSION__"', JSON.stringify(digest.digest("hex").slice(0, 16)))
  .replace("[/* __FILES__ */]", JSON.stringify(["./", ...files]));
writeFileSync(join(out, "service-worker.js"), serviceWorker);

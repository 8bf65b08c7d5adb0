// Bundles the console's scripts and styles into src/tracklayer/web/console/static, under names that carry a hash of what
// is in them, with a manifest of those names and the licenses of what is bundled.
//   node build.mjs [HASH]    HASH, of the inputs, goes into the manifest, by which hatch_build.py knows what is built
//   node build.mjs --watch   builds at every change, for work on the console; start the server again to see new names

import { mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const HERE = path.dirname(fileURLToPath(import.meta.url));
const STATIC = path.join(HERE, "../src/tracklayer/web/console/static");
const isWatching = process.argv[2] === "--watch";
const inputsHash = isWatching ? "" : (process.argv[2] ?? "");

// A bundle a row: what every page loads, what the editor pages add, what the overviews add.
const BUNDLES = ["app", "editor", "chart"];

const options = {
  absWorkingDir: HERE,
  entryPoints: BUNDLES.flatMap((name) => [
    { in: `scripts/${name}.js`, out: name },
    { in: `styles/${name}.css`, out: name },
  ]),
  entryNames: "[name]-[hash]",
  outdir: STATIC,
  bundle: true,
  minify: true,
  format: "iife",
  target: ["es2022", "chrome123", "firefox128", "safari17.5"],
  charset: "utf8",
  legalComments: "none", // licenses.txt has the whole texts
  metafile: true,
  logLevel: "warning",
  plugins: [{ name: "finish", setup: (build) => build.onEnd(finish) }],
};

async function finish(result) {
  if (result.errors.length > 0) return;
  const manifest = inputsHash ? { inputs: inputsHash } : {};
  for (const [file, output] of Object.entries(result.metafile.outputs)) {
    if (output.entryPoint) manifest[path.basename(output.entryPoint)] = path.basename(file);
  }
  await writeFile(path.join(STATIC, "licenses.txt"), await licenses(Object.keys(result.metafile.inputs)));
  // The manifest comes last and at once, so that nobody reads names of files that are not there yet.
  await writeFile(path.join(STATIC, "manifest.json.new"), JSON.stringify(manifest, null, 2) + "\n");
  await rename(path.join(STATIC, "manifest.json.new"), path.join(STATIC, "manifest.json"));
  const current = new Set([...Object.values(manifest), "manifest.json", "licenses.txt"]);
  for (const file of await readdir(STATIC)) {
    if (!current.has(file)) await rm(path.join(STATIC, file), { recursive: true });
  }
}

/** The license text of every package that a bundle holds a part of. */
async function licenses(inputs) {
  const found = inputs.map((input) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1]).filter(Boolean);
  const texts = [...new Set(found)].sort().map(async (name) => {
    const folder = path.join(HERE, "node_modules", name);
    const { version, license } = JSON.parse(await readFile(path.join(folder, "package.json"), "utf8"));
    const file = (await readdir(folder)).find((each) => /^licen[cs]e(\.|$)/i.test(each));
    if (!file) throw new Error(`${name} ${version} has no license file`);
    return `${name} ${version} (${license})\n\n${(await readFile(path.join(folder, file), "utf8")).trim()}\n`;
  });
  return (await Promise.all(texts)).join(`\n${"-".repeat(80)}\n\n`);
}

await mkdir(STATIC, { recursive: true });
if (isWatching) {
  await (await esbuild.context(options)).watch();
} else {
  await esbuild.build(options).catch(() => process.exit(1)); // esbuild has said what is wrong
}

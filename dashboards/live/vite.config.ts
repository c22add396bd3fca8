import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, gzip } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

const WORTH_IT = 1000; // bytes: less is one packet anyway

/** Writes `.br` and `.gz` beside each built file: the API sends them to browsers that take them. */
function compressed(): Plugin {
  let folder = "";
  return {
    name: "compressed",
    apply: "build",
    configResolved(config) {
      folder = join(config.root, config.build.outDir);
    },
    async closeBundle() {
      for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile() || !/\.(js|css|svg)$/.test(entry.name)) continue;
        const file = join(entry.parentPath, entry.name);
        const content = await readFile(file);
        if (content.length < WORTH_IT) continue;
        await writeFile(`${file}.br`, await promisify(brotliCompress)(content));
        await writeFile(`${file}.gz`, await promisify(gzip)(content, { level: 9 }));
      }
    },
  };
}

export default defineConfig({
  base: "./", // wherever the app lies: its HTML and modules name one another by relative addresses
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    modulePreload: { polyfill: false },
    sourcemap: true,
    assetsInlineLimit: 0,
    target: "baseline-widely-available",
  },
  plugins: [compressed()],
  server: { proxy: { "/v1": "http://localhost:8080" } },
});

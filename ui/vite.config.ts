import { gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

const MOST_BYTES = 60_000;

/** Refuses a page that has grown: what loads before the playground is asked for stays small, gzipped. */
function budget(): Plugin {
  return {
    name: "budget",
    apply: "build",
    writeBundle(_options, bundle) {
      const page = new Set<string>();
      const add = (name: string) => {
        const chunk = bundle[name];
        if (page.has(name) || !chunk) return;
        page.add(name);
        if (chunk.type !== "chunk") return;
        chunk.imports.forEach(add);
        chunk.viteMetadata?.importedCss.forEach(add);
      };
      for (const chunk of Object.values(bundle)) {
        if (chunk.type === "chunk" && chunk.isEntry && chunk.name === "index") add(chunk.fileName);
      }
      let bytes = 0;
      for (const name of page) {
        const chunk = bundle[name];
        if (chunk) bytes += gzipSync(chunk.type === "chunk" ? chunk.code : chunk.source).length;
      }
      if (bytes === 0 || bytes > MOST_BYTES) {
        this.error(`The page has ${bytes} bytes gzipped; ${MOST_BYTES} are its budget.`);
      }
      this.info(`The page has ${bytes} bytes gzipped, of ${MOST_BYTES}.`);
    },
  };
}

/** The playground's style brings fonts as data: the system's own do. */
function withoutFonts(): Plugin {
  return {
    name: "without-fonts",
    enforce: "pre",
    transform(code, id) {
      return id.endsWith(".css") ? code.replace(/@font-face\s*\{[^}]*\}/g, "") : null;
    },
  };
}

export default defineConfig({
  plugins: [withoutFonts(), budget()],
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../automations/static",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 3000,
    license: { fileName: "licenses.md" },
    rolldownOptions: { input: ["index.html", "playground.html"] },
  },
  server: { proxy: { "/graphql": "http://127.0.0.1:4200" } },
});

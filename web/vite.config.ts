import { defineConfig } from "vite";

// The built files are committed, so that nobody needs Node.js to run the page; names are fixed for that reason.
export default defineConfig({
  publicDir: "public",
  build: {
    outDir: "../service/web/static",
    emptyOutDir: true,
    sourcemap: false,
    modulePreload: false,
    cssCodeSplit: false,
    rollupOptions: {
      input: { page: "src/page.ts", viewer: "src/viewer.ts", rules: "src/rules.ts" },
      output: {
        entryFileNames: "[name].js",
        chunkFileNames: "[name].js",
        assetFileNames: "page[extname]",
      },
    },
  },
});

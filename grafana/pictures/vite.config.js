import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  plugins: [react()],
  resolve: { alias: [{ find: /^react-custom-scrollbars-2$/, replacement: `${import.meta.dirname}/scrollbars.js` }] },
  define: { "process.env": {}, global: "globalThis" },
});

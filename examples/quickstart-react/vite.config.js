import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// In development Vite is the one origin: it serves the page and passes /v1 on to SMP.
export default defineConfig({
  plugins: [react()],
  server: { proxy: { "/v1": process.env.ENTITLEMENTS_URL ?? "http://127.0.0.1:8000" } },
});

import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    pool: "forks",
    // Both tiers share the machine with the servers they test against.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    teardownTimeout: 60_000,
    projects: [
      { extends: true, test: { name: "unit", include: ["test/unit/**/*.test.ts"] } },
      {
        extends: true,
        test: {
          name: "stack",
          include: ["test/{integration,e2e,faults}/**/*.test.ts"],
          globalSetup: ["test/support/global-setup.ts"],
        },
      },
    ],
  },
});

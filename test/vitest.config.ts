import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const root = fileURLToPath(new URL('..', import.meta.url));

const project = (name: string, testTimeout = 20_000) => ({
  test: { name, root, include: [`test/${name}/**/*.test.ts`], testTimeout, hookTimeout: 60_000 },
});

export default defineConfig({
  test: {
    projects: [
      project('unit'),
      project('contract', 60_000),
      project('provider-simulator'),
      project('flow', 120_000),
      project('seeded', 180_000),
      project('infra', 180_000),
    ],
  },
});

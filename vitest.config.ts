import { fileURLToPath } from 'node:url'
import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config'

export default defineConfig({
  test: {
    setupFiles: [fileURLToPath(new URL('vitest.setup.ts', import.meta.url))],
    // For tests that start servers on a busy machine. No test waits this long when all is well.
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Most of these tests wait for servers most of the time: more of them at once than there are processors.
    maxWorkers: 3,
    projects: [
      project('core', 'packages/core'),
      project('sqlite', 'packages/sqlite'),
      project('redis', 'packages/redis'),
      project('postgres', 'packages/postgres'),
      project('memcached', 'packages/memcached'),
      project('fastify', 'packages/fastify'),
      project('otel', 'packages/otel'),
      project('cli', 'packages/cli'),
      project('demo', 'apps/demo'),
      project('faults', 'apps/faults'),
      project('packaging', 'apps/packaging'),
      project('bench', 'apps/bench'),
      project('lmdb-store', 'examples/lmdb-store'),
      project('recipes', 'examples/recipes'),
    ],
  },
})

/** A package's `test` script picks its project: `vitest run --root ../.. --project core`. */
function project(name: string, folder: string): TestProjectInlineConfiguration {
  return { extends: true, test: { name, root: folder, include: ['test/**/*.test.ts'] } }
}

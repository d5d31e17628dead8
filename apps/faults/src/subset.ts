/**
 * What of the matrix `pnpm --filter faults test:matrix` runs: one cell for each kind of fault and of promise, in about three
 * minutes. `npm run faults` runs all.
 */
export const subset = [
  'redis/frozen',
  'redis/killed',
  'redis/reset-in-mid-answer',
  'redis/out-of-memory',
  'postgres/killed',
  'postgres/half-open',
  'postgres/columns-changed',
  'postgres/table-locked',
  'sqlite/locked-often',
  'sqlite/app-killed',
  'memcached/frozen',
  'memcached/killed',
]

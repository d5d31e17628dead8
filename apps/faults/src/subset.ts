/** What of the matrix `npm test` runs: one cell for each store, in less than a minute. */
export const quick = ['redis/frozen', 'postgres/killed', 'sqlite/locked-often', 'memcached/killed']

/**
 * What `pnpm --filter faults test:matrix` runs besides: with those, one cell for each kind of fault and of promise, in some
 * minutes. `npm run faults` runs all.
 */
export const subset = [
  'redis/killed',
  'redis/reset-in-mid-answer',
  'redis/out-of-memory',
  'postgres/half-open',
  'postgres/columns-changed',
  'postgres/table-locked',
  'sqlite/app-killed',
  'memcached/frozen',
]

import type pg from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { arrayOf } from '../src/driver.ts'
import { namesFor } from '../src/identifiers.ts'
import { migrations } from '../src/migrations.ts'
import { statementsFor } from '../src/statements.ts'
import { noNewestPostgres, noPostgres, usePool, useServer } from './setup.ts'

describe.skipIf(noPostgres)('on a large table of the Postgres of this machine', () => {
  const server = useServer()
  testPlans(usePool(() => server().url()))
})

describe.skipIf(noNewestPostgres)('on a large table of the newest Postgres', () => {
  const server = useServer({ from: 'npm' })
  testPlans(usePool(() => server().url()))
})

const statements = statementsFor(namesFor('public', 'sessions'))
const [id, now] = [`\\x${'07'.repeat(32)}`, `${Date.now()}`]
const slot = `${Math.trunc(Number(now) / 900_000)}`
const ids = arrayOf(Array.from({ length: 64 }, (_, n) => `\\x${n.toString(16).padStart(64, '0')}`))
const many = (...values: (string | null)[]) => values.map((value) => arrayOf(Array(64).fill(value)))
const LAST = `${2n ** 63n - 1n}`

/** For each statement on the table: values as the store sends them, and the indexes that must be used. */
const expected: Record<keyof typeof statements, { values: (string | null)[]; indexes: string[] }> = {
  readMany: { values: [ids], indexes: ['sessions_pkey'] },
  writeMany: { values: [ids, ...many('{}', null, now, now, 'v')], indexes: Array(3).fill('sessions_pkey') },
  replaceMany: { values: [ids, ...many('{}', null, now, now, 'v', 'w')], indexes: Array(3).fill('sessions_pkey') },
  touchMany: { values: [ids, ...many(now, 'v')], indexes: Array(3).fill('sessions_pkey') },
  removeMany: { values: [ids], indexes: Array(3).fill('sessions_pkey') },
  read: { values: [id], indexes: ['sessions_pkey'] },
  write: { values: [id, '{}', null, now, now, 'v'], indexes: [] },
  replace: { values: [id, '{}', null, now, now, 'v', 'w'], indexes: ['sessions_pkey', 'sessions_pkey'] },
  insert: { values: [id, '{}', null, now, now, 'v'], indexes: [] },
  touch: { values: [id, now, 'v'], indexes: ['sessions_pkey'] },
  remove: { values: [id], indexes: ['sessions_pkey'] },
  prune: { values: [now, now, LAST, LAST, '500'], indexes: ['sessions_pkey', 'sessions_slot_idx'] },
  pruneOld: { values: [now, '0', '200', '500'], indexes: ['sessions_pkey', 'sessions_slot_idx', 'sessions_slot_idx'] },
  countDue: { values: [slot, '0', '0', '5000', '0', now], indexes: ['sessions_slot_idx'] },
  countLater: { values: [slot, '0', '0', '5000', '0'], indexes: ['sessions_slot_idx'] },
  findByUser: { values: ['user 7', id, '100'], indexes: ['sessions_user_idx'] },
  removeOfUser: { values: [arrayOf([id]), 'user 7'], indexes: ['sessions_pkey', 'sessions_pkey', 'sessions_user_idx'] },
  scan: { values: [id, '100'], indexes: ['sessions_pkey'] },
  clear: { values: [id, '1000'], indexes: ['sessions_pkey', 'sessions_pkey'] },
}

interface Plan {
  'Node Type': string
  'Index Name'?: string
  Plans?: Plan[]
}

function testPlans(pool: () => pg.Pool): void {
  beforeAll(async () => {
    for (const { sql } of migrations()) await pool().query(sql)
    // A third has expired: so many that the server would rather read the table from its beginning, were it let.
    await pool().query(
      `insert into sessions select sha256(n::text::bytea), json_build_object('text', repeat('x', 300)),
         case when n % 2 = 0 then 'user ' || n % 1000 end,
         $1 - random() * 2.6e9, $1 + (random() - 0.33) * 2.6e9, 'v' || n
       from generate_series(1, 100000) n`,
      [now],
    )
    await pool().query('analyze sessions')
  })

  describe('just filled', () => goesByIndexes())

  describe('after a vacuum', () => {
    beforeAll(() => pool().query('vacuum analyze sessions'))
    goesByIndexes()
  })

  function goesByIndexes(): void {
    for (const [name, { values, indexes }] of Object.entries(expected)) {
      const { text } = statements[name as keyof typeof statements]
      test(`${name} goes by an index`, async () => {
        expect(indexesOf(await planOf({ text, values }))).toEqual(indexes)
      })
      test(`${name} does so when it is prepared for any values, too`, async () => {
        const client = await pool().connect()
        try {
          await client.query("set plan_cache_mode = 'force_generic_plan'")
          expect(indexesOf(await planOf({ text, values }, client))).toEqual(indexes)
        } finally {
          client.release(true)
        }
      })
    }
  }

  test.each([
    { name: 'countLater', order: '', offset: 60_000, values: (at: string[]) => [...at, '0', '500', '0'], blocks: 50 },
    // Those of 100 rows that are deleted, and of what that needs.
    { name: 'prune', order: 'desc', offset: 90_000, values: (at: string[]) => [now, now, ...at, '100'], blocks: 2000 },
  ] as const)(
    'a later batch of $name does not read what earlier ones did',
    async ({ name, order, offset, values, blocks }) => {
      const { rows } = await pool().query({
        text: `select expires_slot::text, created_at::text from sessions where expires_slot >= $1 or $2 = 'desc'
        order by expires_slot ${order}, created_at ${order} offset ${offset} limit 1`,
        values: [slot, order],
        rowMode: 'array',
      })
      const client = await pool().connect()
      try {
        await client.query('begin')
        const text = `explain (analyze, buffers, format json) ${statements[name].text}`
        const answer = await client.query({ text, values: values(rows[0] ?? []) })
        const { 'Shared Hit Blocks': hit, 'Shared Read Blocks': read } = answer.rows[0]['QUERY PLAN'][0].Plan
        expect(hit + read).toBeLessThan(blocks)
      } finally {
        client.release(true)
      }
    },
  )

  async function planOf(query: pg.QueryConfig, on: Pick<pg.Pool, 'query'> = pool()): Promise<Plan[]> {
    const { rows } = await on.query({ ...query, text: `explain (format json) ${query.text}` })
    return flat(rows[0]['QUERY PLAN'][0].Plan)
  }
}

function indexesOf(plan: Plan[]): string[] {
  expect(plan.filter((node) => node['Node Type'].includes('Seq Scan'))).toEqual([])
  return plan.flatMap((node) => node['Index Name'] ?? []).sort()
}

function flat(plan: Plan): Plan[] {
  return [plan, ...(plan.Plans ?? []).flatMap(flat)]
}

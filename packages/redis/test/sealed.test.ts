import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expectSealed } from '@session-stores/testing'
import { RedisServer } from '@session-stores/testing/redis'
import { expect, test } from 'vitest'
import { RedisStore } from '../src/index.ts'
import { ioredis } from './drivers.ts'

test('no word of a sealed session is in what Redis writes to disk: neither in its snapshot nor in its log of commands', async () => {
  await using server = await RedisServer.start(
    '--rdbcompression',
    'no',
    '--appendonly',
    'yes',
    '--aof-use-rdb-preamble',
    'no',
  )
  const client = ioredis.redis(server)
  const files = async () => {
    expect(await server.cli('SAVE')).toBe('OK')
    const log = join(server.folder, 'appendonlydir')
    const written = readdirSync(log).map((name) => readFileSync(join(log, name)))
    expect(Buffer.concat(written).includes('SET'), 'the log has commands').toBe(true)
    return Buffer.concat([readFileSync(join(server.folder, 'dump.rdb')), ...written])
  }
  await expectSealed((options) => new RedisStore({ client, ...options }), files)
  client.disconnect()
})

import { existsSync, readFileSync } from 'node:fs'
import { expectSealed } from '@session-stores/testing'
import { test } from 'vitest'
import { SqliteStore } from '../src/index.ts'
import { newFiles } from './folder.ts'

const newFile = newFiles('sqlite-sealed')

test('no word of a sealed session is in the bytes of its files, neither while the database is open nor after', async () => {
  const path = newFile()
  const files = async () => {
    const there = ['', '-wal', '-shm'].map((suffix) => path + suffix).filter((file) => existsSync(file))
    return Buffer.concat(there.map((file) => readFileSync(file)))
  }
  await expectSealed((options) => new SqliteStore({ path, ...options }), files)
})

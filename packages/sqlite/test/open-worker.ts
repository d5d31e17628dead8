// Opens each file whose path it is told, saves a session in it, and prints "done" or what went wrong.
import { createInterface } from 'node:readline'
import { SqliteStore } from '../src/index.ts'

console.log('ready')
for await (const path of createInterface({ input: process.stdin })) {
  try {
    const store = new SqliteStore({ path })
    await store.set(`session of ${process.pid}`, { saved: true })
    await store.close()
    console.log('done')
  } catch (error) {
    console.log(String(error))
  }
}

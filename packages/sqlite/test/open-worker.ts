// Opens each file whose path it is told, saves a session in it, and prints "done" or what went wrong.
// node open-worker.ts [id of the user to run as]
import { createInterface } from 'node:readline'
import { SqliteStore } from '../src/index.ts'

const [user] = process.argv.slice(2)
if (user !== undefined) process.setuid?.(Number(user)) // only now: such a user may not be let near this file
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

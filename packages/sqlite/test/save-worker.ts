// Opens a file, prints "ready", and saves a session each time it is told to: prints "done" or what went wrong.
// node save-worker.ts <file> [id of the user to run as once it is open]
import { createInterface } from 'node:readline'
import { SqliteStore } from '../src/index.ts'

const [path = '', user] = process.argv.slice(2)
const store = new SqliteStore({ path })
if (user !== undefined) process.setuid?.(Number(user)) // as a server does that needs its rights only to begin
console.log('ready')
for await (const id of createInterface({ input: process.stdin })) {
  const outcome = await store.set(id, { saved: true }).then(() => 'done', describe)
  console.log(outcome)
}
await store.close()

function describe(error: Error): string {
  return `${error.message}: ${(error.cause as Error).message}`
}

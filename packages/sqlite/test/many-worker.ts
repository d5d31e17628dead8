// Changes 32 sessions over and over, all at once, until it is killed. Prints each save that the store has acknowledged, as
// the session's id and the number that it holds. node many-worker.ts <file>
import { writeSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { SqliteStore } from '../src/index.ts'

const [path = ''] = process.argv.slice(2)
const store = new SqliteStore({ path, pruneInterval: false })

async function change(id: string): Promise<never> {
  for (;;) {
    const session = await store.get(id)
    const n = (session?.n ?? 0) + 1
    await store.set(id, { ...session, n, text: 'x'.repeat(n) })
    writeSync(1, `${JSON.stringify([id, n])}\n`)
    await nextTurn()
  }
}

await Promise.all(Array.from({ length: 32 }, (_, n) => change(`session-${n}`)))

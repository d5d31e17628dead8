// Prints how many sessions there are in a file, lists, prunes and clears them, and ends: nothing else keeps it alive.
// node batch-worker.ts <file>
import { SqliteStore } from '../src/index.ts'

const [path = ''] = process.argv.slice(2)
const store = new SqliteStore({ path, pruneInterval: false })
const counted = await store.count()
let listed = 0
for await (const _ of store.scan()) listed += 1
const pruned = await store.prune()
await store.clear()
console.log(JSON.stringify({ counted, listed, pruned, left: await store.count() }))

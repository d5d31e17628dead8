import { execFile } from 'node:child_process'
import { channel } from 'node:diagnostics_channel'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, expect, onTestFinished, test, vi } from 'vitest'
import { type Backend, type OperationContext, SessionStore } from '../src/index.ts'
import { memoryWith } from './backends.ts'

/** What each prune came to. */
let outcomes: unknown[] = []
const listen = (message: unknown) => {
  outcomes.push((message as OperationContext).outcome)
}
function listening(): void {
  outcomes = []
  channel('tracing:session-stores.prune:asyncEnd').subscribe(listen)
}
afterEach(() => channel('tracing:session-stores.prune:asyncEnd').unsubscribe(listen))

function over(prune: NonNullable<Backend['prune']>, pruneInterval: number | false) {
  const closes = { count: 0 }
  const close = () => {
    closes.count += 1
  }
  const backend = memoryWith({ prune, close })
  return { store: new SessionStore(backend, { pruneInterval }), closes }
}

test('pruning begins with the first use, comes at varied intervals, and goes on after a failure', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  const chance = vi.spyOn(Math, 'random')
  onTestFinished(() => chance.mockRestore())
  listening()
  let calls = 0
  const { store } = over(() => {
    calls += 1
    if (calls === 1) throw new Error('no server')
    return { removed: 0 }
  }, 1000)
  expect(vi.getTimerCount(), 'timers before the first use').toBe(0)

  chance.mockReturnValue(0)
  await store.get('id')
  await store.get('id')
  await vi.advanceTimersByTimeAsync(499)
  expect(outcomes).toEqual([])
  chance.mockReturnValue(0.999)
  await vi.advanceTimersByTimeAsync(1)
  expect(outcomes).toEqual(['error'])
  await vi.advanceTimersByTimeAsync(1498)
  expect(outcomes).toEqual(['error'])
  await vi.advanceTimersByTimeAsync(1)
  expect(outcomes).toEqual(['error', 'done'])
  await store.close()
  expect(vi.getTimerCount(), 'timers after closing').toBe(0)
})

test('pruneInterval: false never prunes by itself', async () => {
  listening()
  const { store } = over(() => ({ removed: 0 }), false)
  await store.get('id')
  await sleep(50)
  expect(outcomes).toEqual([])
  expect(await store.prune()).toBe(0)
  await store.close()
})

test('a store that is closed prunes no more, and closes its backend once', async () => {
  let calls = 0
  const { store, closes } = over(() => {
    calls += 1
    return { removed: 1, next: 'more' }
  }, 5)
  await store.get('id')
  await expect.poll(() => calls, { timeout: 10_000 }).toBeGreaterThan(2)
  await Promise.all([store.close(), store.close()])
  await store.close()
  await sleep(0) // the batch under way
  const before = calls
  await sleep(100)
  expect(calls).toBe(before)
  expect(closes.count).toBe(1)
})

test('between two batches requests have their turn', async () => {
  let batches = 0
  const { store } = over(() => ({ removed: 1, next: ++batches === 100 ? undefined : 'more' }), false)
  const pruning = store.prune()
  await new Promise((resolve) => setImmediate(resolve))
  expect(batches).toBeLessThan(100)
  expect(await pruning).toBe(100)
})

test('the timer does not keep the process alive', async () => {
  const source = fileURLToPath(new URL('../src/index.ts', import.meta.url))
  const script = `const { MemoryStore } = await import(${JSON.stringify(source)})
    await new MemoryStore().set('id', {})
    process.on('exit', () => console.log('ended'))`
  const command = ['--experimental-strip-types', '--no-warnings', '--input-type=module', '--eval', script]
  const { stdout } = await promisify(execFile)(process.execPath, command, { timeout: 20_000 })
  expect(stdout).toBe('ended\n')
})

import { expect, test } from 'vitest'
import { type Backend, SessionStore } from '../src/index.ts'
import { memoryWith } from './backends.ts'

/** A layer that counts the calls of each verb: all that it takes to wrap a backend. */
function counting(inner: Backend): Backend & { counts: Record<string, number> } {
  const counts: Record<string, number> = {}
  const counted = <Args extends unknown[], T>(verb: string, run: (...args: Args) => T) => {
    return (...args: Args) => {
      counts[verb] = (counts[verb] ?? 0) + 1
      return run(...args)
    }
  }
  return {
    name: inner.name,
    counts,
    read: counted('read', (...args) => inner.read(...args)),
    write: counted('write', (...args) => inner.write(...args)),
    replace: counted('replace', (...args) => inner.replace(...args)),
    touch: counted('touch', (...args) => inner.touch(...args)),
    remove: counted('remove', (...args) => inner.remove(...args)),
  }
}

test('a layer over a backend sees verbs, keys and records, and the store does not notice', async () => {
  const layer = counting(memoryWith())
  const store = new SessionStore(layer)
  await store.set('id', { a: 1 })
  const session = await store.get('id')
  await store.set('id', session)
  await store.set('id', { ...session, a: 2 })
  expect(await store.get('id')).toMatchObject({ a: 2 })
  await store.destroy('id')
  expect(layer.counts).toEqual({ write: 1, read: 2, replace: 1, remove: 1 })
})

test('over a synchronous backend, layers and all, callbacks are called at once', () => {
  const store = new SessionStore(counting(memoryWith()))
  const seen: unknown[] = []
  store.set('id', { a: 1 }, (error) => seen.push(error))
  store.get('id', (error, session) => seen.push(error, session))
  store.destroy('id', (error) => seen.push(error))
  expect(seen).toEqual([null, null, expect.objectContaining({ a: 1 }), null])
})

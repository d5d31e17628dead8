import { inspect } from 'node:util'
import { type Backend, MemoryStore } from '@session-stores/core'
import { expect, onTestFinished, test } from 'vitest'
import { instrument } from '../src/index.ts'
import { memoryStore, remoteStore, Telemetry } from './setup.ts'

test('nothing is recorded before instrument(), nor after what it returns was called', async () => {
  const telemetry = Telemetry.start()
  const store = memoryStore()
  await store.get('before')
  const stop = instrument()
  await store.get('recorded')
  stop()
  await store.get('after')
  expect(telemetry.storeSpans.length).toBe(1)
  expect(await telemetry.values('session.store.operations')).toMatchObject([{ value: 1 }])
  expect(await telemetry.values('session.store.up'), 'whether a store is up is then not known').toEqual([])
})

test('a second call changes nothing', async () => {
  const telemetry = Telemetry.start()
  const stops = [instrument(), instrument()]
  const store = memoryStore()
  await store.get('id')
  expect(telemetry.storeSpans.length).toBe(1)
  expect(await telemetry.values('session.store.operations')).toMatchObject([{ value: 1 }])
  for (const stop of stops) stop()
  await store.get('id')
  expect(telemetry.storeSpans.length).toBe(1)
})

test('it can be called again after it was stopped', async () => {
  const telemetry = Telemetry.start()
  instrument()()
  onTestFinished(instrument())
  await memoryStore().get('id')
  expect(telemetry.storeSpans.length).toBe(1)
})

test('the SDK may be started afterwards', async () => {
  onTestFinished(instrument())
  const telemetry = Telemetry.start()
  await memoryStore().get('id')
  expect(telemetry.storeSpans.length).toBe(1)
  expect(await telemetry.values('session.store.operations')).toMatchObject([{ value: 1 }])
})

test('without an SDK stores work as ever', async () => {
  onTestFinished(instrument())
  const store = memoryStore()
  await store.set('id', { visits: 1 })
  expect(await store.get('id')).toMatchObject({ visits: 1 })
})

test('no id, no user and no data is in any span or metric', async () => {
  const telemetry = Telemetry.start()
  onTestFinished(instrument())
  const secret = { user: 'secret-user', 'secret-key': 'secret-value' }
  const stores = [
    memoryStore({ userOf: (session) => session.user }),
    remoteStore({ userOf: (session) => session.user }),
    remoteStore({ timeout: 50 }, failing()),
    remoteStore({
      userOf: (session) => {
        throw new Error(JSON.stringify(session))
      },
    }),
    memoryStore({
      onConflict: (_base, theirs) => {
        throw Object.assign(new Error(JSON.stringify(theirs)), { code: 'secret-code' })
      },
    }),
    memoryStore({ maxBytes: 1 }),
  ]
  for (const store of stores) {
    const tried = async (work: () => unknown) => {
      try {
        await work()
      } catch {} // most of them fail
    }
    const loaded = await store.get('secret-id').catch(() => {})
    await tried(() => store.set('secret-id', { ...secret }))
    const [one, other] = [await store.get('secret-id').catch(() => {}), await store.get('secret-id').catch(() => {})]
    await tried(() => store.set('secret-id', { ...one, 'secret-key': 'secret-1' }))
    await tried(() => store.set('secret-id', { ...other, 'secret-key': 'secret-2' }))
    await tried(() => store.set('secret-id', { ...loaded, 'secret-key': Symbol('secret') }))
    await tried(() => store.set('secret-id', { 'secret-key': 10n }))
    await tried(() => store.touch('secret-id', { ...secret }))
    await tried(() => store.listByUser('secret-user'))
    await tried(() => store.destroyByUser('secret-user', { except: 'secret-id' }))
    await tried(() => store.destroyByHandle(store.handleOf('secret-id')))
    await tried(() => store.destroy('secret-id'))
  }
  const handle = new MemoryStore().handleOf('secret-id')
  const recorded = inspect([telemetry.spans, await telemetry.metrics()], { depth: 20, maxArrayLength: null })
  expect(recorded).toContain('SESSION_NOT_SERIALIZABLE')
  expect(recorded).not.toContain('secret')
  expect(recorded).not.toContain(handle)
})

/** Answers each call with an error that quotes all it was given, as a driver does. */
function failing(): Partial<Backend> {
  const fail = async (...given: unknown[]) => {
    throw new Error(inspect(given))
  }
  return { read: fail, readMany: fail, write: fail, replace: fail, touch: fail, remove: fail, findByUser: fail }
}

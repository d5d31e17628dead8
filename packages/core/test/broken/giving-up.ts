import { once } from 'node:events'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Call, StoredRecord } from '../../src/index.ts'
import { type Broken, brokenProcess, brokenServer } from './open.ts'

/** What can be wrong with calls that are given up. */
export const brokenGivingUp: Broken[] = [
  {
    what: 'a backend that loses a connection with each call that is given up',
    noticedBy: ['B37'],
    ...brokenProcess(({ read }) => {
      let idle = 4
      const waiting: Array<() => void> = []
      const connect = async () => {
        if (idle === 0) await new Promise<void>((resolve) => waiting.push(resolve))
        else idle -= 1
      }
      const release = () => {
        const next = waiting.shift()
        if (next) next()
        else idle += 1
      }
      return {
        read: async (key, call) => {
          await connect()
          await slowForTheImpatient(call)
          if (!call.signal.aborted) release()
          return read(key)
        },
      }
    }),
  },
  {
    what: 'a backend that gives the answer to a call that was given up to the next one',
    noticedBy: ['B37'],
    ...brokenProcess(({ read }) => {
      const waiting: Array<(found: StoredRecord | undefined) => void> = []
      let last: Promise<unknown> = Promise.resolve()
      return {
        read: (key, call) => {
          const answer = new Promise<StoredRecord | undefined>((resolve) => {
            waiting.push(resolve)
            call.signal.addEventListener('abort', () => waiting.splice(waiting.indexOf(resolve), 1))
          })
          last = last.then(() => slowForTheImpatient(call)).then(() => waiting.shift()?.(read(key)))
          return answer
        },
      }
    }),
  },
  {
    what: 'a backend that stops halfway when a call is given up',
    noticedBy: ['B38'],
    ...brokenProcess(({ write }) => ({
      write: async (key, { userId, ...record }, version, call) => {
        write(key, record, version)
        if (userId === undefined) return
        await slowForTheImpatient(call)
        if (!call.signal.aborted) write(key, { ...record, userId }, version)
      },
    })),
  },
  {
    what: 'a backend that lists a record of a user only after it has written it, and stops in between when a call is given up',
    noticedBy: ['B48'],
    ...brokenServer(({ write, replace, findByUser }) => {
      const unlisted = new Set<string>()
      const list = async <T>(key: string, userId: string | undefined, answer: T, call: Call) => {
        if (userId === undefined) return answer
        unlisted.add(key)
        await slowForTheImpatient(call)
        if (!call.signal.aborted) unlisted.delete(key)
        return answer
      }
      return {
        write: (key, record, version, call) => list(key, record.userId, write(key, record, version), call),
        replace: (key, record, version, expected, call) =>
          list(key, record.userId, replace(key, record, version, expected), call),
        findByUser: (userId) => ({ records: findByUser(userId).records.filter(({ key }) => !unlisted.has(key)) }),
      }
    }),
  },
]

/** A round trip: so long that those give up who wait for a moment only. */
async function slowForTheImpatient({ deadline, signal }: Call): Promise<void> {
  if (deadline - performance.now() >= 10) await nextTurn()
  else if (!signal.aborted) await once(signal, 'abort')
}

import { setImmediate as nextTurn } from 'node:timers/promises'
import { storageKey } from './data.ts'

type Meet = <A, B>(a: () => Promise<A>, b: () => Promise<B>) => Promise<[A, B]>

/**
 * Lets two calls on one record meet in many ways, on as many keys: either first, the other at once or some turns of the
 * event loop later. A verb that takes several steps is caught between two of them.
 */
export async function forMeetings(act: (key: string, meet: Meet) => Promise<void>): Promise<void> {
  const meetings = Array.from({ length: 32 }, (_, n): [string, Meet] => {
    const later = async <T>(call: () => Promise<T>) => {
      for (let turn = 0; turn < n / 2; turn += 1) await nextTurn()
      return call()
    }
    return [storageKey(n), (a, b) => Promise.all(n % 2 === 0 ? [a(), later(b)] : [later(a), b()])]
  })
  await Promise.all(meetings.map(([key, meet]) => act(key, meet)))
}

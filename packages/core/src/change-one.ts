import type { Awaitable, Backend, Change, ChangeAnswer } from './backend.ts'
import type { Call } from './call.ts'

/** Makes one of many changes by its lone verb, for a `changeMany` that sends some by themselves. */
export function changeOne(backend: Backend, change: Change, call: Call): Awaitable<ChangeAnswer> {
  const { key } = change
  switch (change.verb) {
    case 'write':
      return backend.write(key, change.record, change.version, call) as Awaitable<undefined>
    case 'replace':
      return backend.replace(key, change.record, change.version, change.expected, call)
    case 'touch':
      return backend.touch(key, change.expiresAt, change.expected, change.userId, call)
    case 'remove':
      return backend.remove(key, call)
  }
}

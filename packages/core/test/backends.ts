import { type Backend, MemoryStore, type SessionStore } from '../src/index.ts'

const VERBS = [
  ...(['read', 'write', 'replace', 'touch', 'remove', 'ping', 'insert'] as const),
  ...(['prune', 'count', 'scan', 'clear', 'findByUser', 'removeOfUser', 'check'] as const),
]

/** A sound backend in memory, some of whose verbs are replaced. Without `ping`, `prune`, … where they are undefined. */
export function memoryWith(verbs: Partial<Backend> | ((sound: Backend) => Partial<Backend>) = {}): Backend {
  const sound: SessionStore['backend'] = new MemoryStore().backend
  const bound = Object.fromEntries(VERBS.map((verb) => [verb, (sound[verb] as () => never).bind(sound)]))
  return { name: 'memory', ...bound, ...(typeof verbs === 'function' ? verbs(sound) : verbs) } as unknown as Backend
}

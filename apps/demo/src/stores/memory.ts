import { MemoryStore } from '@session-stores/core'
import { type Opened, rowText, type Setup } from './opened.ts'

export function openMemory({ options }: Setup): Opened {
  const store = new MemoryStore(options)
  return {
    store,
    where: 'in the memory of this process: they end with it',
    atRest: async (handle) => {
      const found = await store.backend.read(handle)
      return typeof found === 'object' ? rowText(found.record) : undefined
    },
    close: async () => {},
  }
}

import { join } from 'node:path'
import { dataFolder, removeFolder } from '@session-stores/testing'
import { afterAll, beforeAll } from 'vitest'

/** A folder for the files of one test file; each call of what it answers gives the path of a new file in it. */
export function newFiles(name: string): () => string {
  let folder: string | undefined
  let count = 0
  beforeAll(() => {
    folder = dataFolder(name)
  })
  afterAll(() => {
    if (folder) removeFolder(folder)
  })
  return () => {
    if (folder === undefined) throw new Error('called outside a test')
    count += 1
    return join(folder, `sessions-${count}.sqlite`)
  }
}

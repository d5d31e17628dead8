import { join } from 'node:path'
import { dataFolder, removeFolder } from '@session-stores/testing'
import { afterAll, beforeAll } from 'vitest'

/**
 * A folder for the files of one test file. What it answers gives the path of a new file in it at each call, or always the
 * same for a name.
 */
export function newFiles(name: string): (fileName?: string) => string {
  let folder: string | undefined
  let count = 0
  beforeAll(() => {
    folder = dataFolder(name)
  })
  afterAll(() => {
    if (folder) removeFolder(folder)
  })
  return (fileName) => {
    if (folder === undefined) throw new Error('called outside a test')
    if (fileName === undefined) count += 1
    return join(folder, `${fileName ?? `sessions-${count}`}.sqlite`)
  }
}

import { dataFolder, removeFolder } from '@session-stores/testing'

const folders = new Set<string>()
process.on('exit', () => {
  for (const folder of folders) removeFolder(folder)
})

/** A new empty folder that is gone at the latest when this process is. */
export function scratchFolder(name: string): string {
  const folder = dataFolder(name)
  folders.add(folder)
  return folder
}

export function removeScratch(folder: string): void {
  removeFolder(folder)
  folders.delete(folder)
}

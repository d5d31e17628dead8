import { type ChildProcess, spawn } from 'node:child_process'
import { dataFolder, removeFolder } from '@session-stores/testing'

const watchers = new Map<string, ChildProcess>()

/**
 * A new empty folder that is gone at the latest when this process is, even if that is killed: a shell waits for the end of
 * a pipe that only we hold, and removes the folder then.
 */
export function scratchFolder(name: string): string {
  const folder = dataFolder(name)
  const watcher = spawn('sh', ['-c', 'read -r _; rm -rf "$1"', 'sh', folder], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  watcher.unref()
  watchers.set(folder, watcher)
  return folder
}

export function removeScratch(folder: string): void {
  removeFolder(folder)
  watchers.get(folder)?.stdin?.end()
  watchers.delete(folder)
}

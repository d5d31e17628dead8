import { accessSync, chownSync, constants, globSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { dataFolder } from './process.ts'

/** Whom servers run as that refuse to run as root. Nothing when we are not root. */
export function unprivileged(): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {}
  const users = readFileSync('/etc/passwd', 'utf8').split('\n')
  const line = users.find((user) => user.startsWith('postgres:')) ?? users.find((user) => user.startsWith('nobody:'))
  const [uid, gid] = (line?.split(':') ?? []).slice(2, 4).map(Number)
  if (uid === undefined || gid === undefined) throw new Error('no user to run a server as: there is no "nobody"')
  return { uid, gid }
}

/** A new empty folder that such a server may write to. */
export function serverFolder(name: string): string {
  const folder = dataFolder(name)
  const { uid, gid } = unprivileged()
  if (uid !== undefined && gid !== undefined) chownSync(folder, uid, gid)
  return folder
}

/** The program in one of the folders (patterns; of several versions the newest), or on PATH. */
export function findProgram(name: string, folders: string[]): string | undefined {
  const found = folders.flatMap((pattern) => globSync(pattern).sort((a, b) => versionIn(b) - versionIn(a)))
  return [...found, ...(process.env.PATH ?? '').split(delimiter)].map((folder) => join(folder, name)).find(isExecutable)
}

function versionIn(folder: string): number {
  return Number(/(\d+)/.exec(folder)?.[1] ?? 0)
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

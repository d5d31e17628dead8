import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { findProgram } from './unprivileged.ts'

/** The program of Bun, from npm or on PATH; undefined where there is none that runs on this machine. */
export function findBun(): string | undefined {
  const architecture = process.arch === 'arm64' ? 'aarch64' : process.arch
  return find('bun', `@oven/bun-${process.platform}-${architecture}`, 'bin')
}

/** The same of Deno. */
export function findDeno(): string | undefined {
  const libc = process.platform === 'linux' ? '-glibc' : ''
  return find('deno', `@deno/${process.platform}-${process.arch}${libc}`)
}

function find(name: string, packageName: string, ...path: string[]): string | undefined {
  const folder = folderOf(packageName)
  const program = findProgram(name, folder ? [join(folder, ...path)] : [])
  return program && spawnSync(program, ['--version']).status === 0 ? program : undefined
}

function folderOf(packageName: string): string | undefined {
  try {
    return dirname(createRequire(import.meta.url).resolve(`${packageName}/package.json`))
  } catch {
    return undefined // none for this machine
  }
}

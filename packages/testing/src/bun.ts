import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { findProgram } from './unprivileged.ts'

/** The program of Bun, from npm or on PATH; undefined where there is none that runs on this machine. */
export function findBun(): string | undefined {
  const architecture = process.arch === 'arm64' ? 'aarch64' : process.arch
  const folder = folderOf(`@oven/bun-${process.platform}-${architecture}`)
  const program = findProgram('bun', folder ? [join(folder, 'bin')] : [])
  return program && spawnSync(program, ['--version']).status === 0 ? program : undefined
}

function folderOf(packageName: string): string | undefined {
  try {
    return dirname(createRequire(import.meta.url).resolve(`${packageName}/package.json`))
  } catch {
    return undefined // none for this machine
  }
}

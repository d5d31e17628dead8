import { tmpdir } from 'node:os'
import { run } from './run.ts'

/** A Node of this major version: this one, or the newest that npm brings. */
export async function nodeOf(major: number): Promise<string> {
  if (process.versions.node.startsWith(`${major}.`)) return process.execPath
  const print = ['node', '-p', 'process.execPath']
  const path = (await run('npx', ['--yes', `--package=node@${major}`, '--', ...print], tmpdir())).trim()
  const version = (await run(path, ['--version'], tmpdir())).trim()
  if (!version.startsWith(`v${major}.`)) throw new Error(`${path} is ${version}`)
  return path
}

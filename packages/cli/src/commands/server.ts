import type { SessionStore } from '@session-stores/core'
import type { Request, Target } from '../arguments.ts'
import { Exit, type ExitCode } from '../errors.ts'
import { loaderFor, type OpenedStore } from '../open.ts'
import { type Output, printable, withProgress } from '../output.ts'

/** 1 when there is more than advice. */
export async function check(store: SessionStore, output: Output): Promise<ExitCode> {
  const findings = await store.check()
  for (const finding of findings) {
    const [what, why, how] = [finding.what, finding.why, finding.how].map(printable)
    const severity = finding.severity.toUpperCase().padEnd(8)
    output.write(finding, `${severity}${what}\n        why: ${why}\n        how: ${how}\n`)
  }
  if (findings.length === 0) output.remark('nothing to put right')
  return findings.every(({ severity }) => severity === 'advice') ? Exit.done : Exit.no
}

export async function migrate({ store, migrate }: OpenedStore, output: Output): Promise<ExitCode> {
  if (migrate) await withProgress('migrating', () => migrate())
  const text = migrate ? 'the table is as this version needs it' : `${store.backend.name} has no table to migrate`
  output.write({ migrated: migrate !== undefined }, text)
  return Exit.done
}

/** Prints the SQL, for a migration tool of the application's own. Connects to nothing. */
export function printMigrations({ store, schema, table }: Target, folder: string, output: Output): ExitCode {
  if (store !== 'postgres') {
    output.remark(`-- ${store} has no table to migrate`)
    return Exit.done
  }
  const { migrations } = loaderFor(folder)<typeof import('@session-stores/postgres')>('@session-stores/postgres')
  for (const migration of migrations({ schema, table })) {
    output.write(migration, `-- version ${migration.version}\n${migration.sql}`)
  }
  return Exit.done
}

/** Whether the request needs no server. */
export function isPrinting({ command, print }: Request): boolean {
  return command === 'migrate' && print
}

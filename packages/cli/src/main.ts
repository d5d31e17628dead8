#!/usr/bin/env node
import { randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import { type Request, requestFrom } from './arguments.ts'
import { check, isPrinting, migrate, printMigrations } from './commands/server.ts'
import { count, end, list, prune, show } from './commands/sessions.ts'
import { Exit, type ExitCode, messageOf, UsageError } from './errors.ts'
import { help } from './help.ts'
import { type OpenedStore, openStore } from './open.ts'
import { Output, printable } from './output.ts'

/** How long a key for `encryptionKeys` is. */
const KEY_BYTES = 32

// Whoever reads the output has seen enough, as `head` has.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : Exit.failed))

process.exitCode = await run()

async function run(): Promise<ExitCode> {
  try {
    return await answer(requestFrom(process.argv.slice(2), process.env))
  } catch (error) {
    const { statusCode, code } = error as { statusCode?: number; code?: string }
    process.stderr.write(`session-stores: ${printable(messageOf(error))}\n`)
    const isWrongUse = error instanceof UsageError || error instanceof TypeError || code === 'SESSION_UNSUPPORTED'
    return isWrongUse && statusCode !== 503 ? Exit.wrongUse : Exit.failed
  }
}

async function answer(request: Request): Promise<ExitCode> {
  const { command, target } = request
  const output = new Output(request.json)
  if (command === 'help') process.stdout.write(help)
  if (command === 'version') output.write({ version: version() }, version())
  if (command === 'key') {
    const key = randomBytes(KEY_BYTES).toString('base64')
    output.write({ key }, key)
  }
  if (target === undefined) return Exit.done
  if (isPrinting(request)) return printMigrations(target, process.cwd(), output)
  const opened = openStore(target, process.cwd())
  try {
    return await act(opened, request, output)
  } finally {
    await opened.close()
  }
}

function act(opened: OpenedStore, request: Request, output: Output): Promise<ExitCode> | ExitCode {
  const { store } = opened
  switch (request.command) {
    case 'count':
      return count(store, output)
    case 'list':
      return list(store, request, output)
    case 'show':
      return show(store, request, output)
    case 'end':
      return end(store, request, output)
    case 'prune':
      return prune(store, output)
    case 'migrate':
      return migrate(opened, output)
    case 'check':
      return check(store, output)
    default:
      return Exit.done
  }
}

function version(): string {
  return createRequire(import.meta.url)('../package.json').version
}

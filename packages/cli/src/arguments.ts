import { parseArgs } from 'node:util'
import { UsageError } from './errors.ts'

export const COMMANDS = ['count', 'list', 'show', 'end', 'prune', 'migrate', 'check', 'key'] as const
export type Command = (typeof COMMANDS)[number]

export const STORES = ['redis', 'postgres', 'sqlite', 'memcached'] as const
export type StoreName = (typeof STORES)[number]

/** Which store, and where. */
export interface Target {
  store: StoreName
  /** A URL, the path of a file, or a list of servers. */
  where: string
  prefix?: string | undefined
  table?: string | undefined
  schema?: string | undefined
  cluster?: boolean | undefined
  /** The newest first. */
  keys?: string[] | undefined
}

/** What is to be done, as the command line and the environment say it. */
export interface Request {
  command: Command | 'help' | 'version'
  /** For all commands but `key`. */
  target?: Target
  handle?: string
  user?: string
  all: boolean
  data: boolean
  print: boolean
  /** Whether nothing is to be asked. */
  yes: boolean
  json: boolean
}

const options = {
  redis: { type: 'string' },
  postgres: { type: 'string' },
  sqlite: { type: 'string' },
  memcached: { type: 'string' },
  prefix: { type: 'string' },
  table: { type: 'string' },
  schema: { type: 'string' },
  cluster: { type: 'boolean' },
  user: { type: 'string' },
  all: { type: 'boolean' },
  data: { type: 'boolean' },
  print: { type: 'boolean' },
  yes: { type: 'boolean', short: 'y' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
} as const

/** What only these commands take. */
const OF_COMMANDS: Readonly<Record<'user' | 'all' | 'data' | 'print' | 'yes', readonly Command[]>> = {
  user: ['list', 'end'],
  all: ['end'],
  data: ['show'],
  print: ['migrate'],
  yes: ['end'],
}

/** What only these stores take. */
const OF_STORES: Readonly<Record<'prefix' | 'table' | 'schema' | 'cluster', readonly StoreName[]>> = {
  prefix: ['redis', 'memcached'],
  table: ['postgres'],
  schema: ['postgres'],
  cluster: ['redis'],
}

/**
 * What can come from the environment, besides the store. Keys cannot come from anywhere else: other users of the machine see
 * command lines.
 */
const SETTINGS = ['prefix', 'table', 'schema'] as const
const PREFIX = 'SESSION_STORES_'

/** A handle may begin with what looks like an option. */
const DASHED_HANDLE = /^-[\w-]{42}$/

/**
 * @param args without the program
 * @throws UsageError that names what is wrong
 */
export function requestFrom(args: readonly string[], env: NodeJS.ProcessEnv): Request {
  const dashed = args.filter((each) => DASHED_HANDLE.test(each))
  const { values, positionals } = parsed(args.filter((each) => !DASHED_HANDLE.test(each)))
  const flags = {
    all: values.all ?? false,
    data: values.data ?? false,
    print: values.print ?? false,
    yes: values.yes ?? false,
    json: values.json ?? false,
  }
  if (values.version) return { command: 'version', ...flags }
  const [command, ...rest] = positionals
  if (values.help || (command === undefined && args.length === 0)) return { command: 'help', ...flags }
  if (!isCommand(command)) {
    const what = command === undefined ? 'a command is missing' : `there is no command ${shown(command)}`
    throw new UsageError(`${what}: one of ${COMMANDS.join(', ')}`)
  }
  for (const [option, commands] of Object.entries(OF_COMMANDS)) {
    if (values[option as keyof typeof OF_COMMANDS] !== undefined && !commands.includes(command)) {
      throw new UsageError(`--${option} is for ${commands.join(' and ')} only`)
    }
  }
  const handle = handleFrom(command, [...rest, ...dashed])
  const { user } = values
  if (user === '') throw new UsageError('--user is empty')
  if (command === 'end' && [handle, user, values.all].filter((each) => each !== undefined).length !== 1) {
    throw new UsageError('end takes one of a handle, --user and --all')
  }
  return {
    command,
    ...flags,
    ...(command !== 'key' && { target: targetFrom(values, env) }),
    ...(handle !== undefined && { handle }),
    ...(user !== undefined && { user }),
  }
}

function parsed(args: string[]) {
  try {
    return parseArgs({ args, options, allowPositionals: true })
  } catch (error) {
    throw new UsageError((error as Error).message.split('. ')[0]) // the rest is about dashes
  }
}

/** Not an address whose option was forgotten: it may hold a password. */
function shown(word: string): string {
  return word.includes(':') ? '(an address)' : word
}

function handleFrom(command: Command, rest: string[]): string | undefined {
  const [handle, more] = rest
  if (more !== undefined || (handle !== undefined && command !== 'show' && command !== 'end')) {
    throw new UsageError(`${command} does not know what to do with ${shown(more ?? handle ?? '')}`)
  }
  if (handle === undefined && command === 'show') throw new UsageError('show needs a handle, as list shows it')
  if (handle !== undefined && !/^[\w-]{43}$/.test(handle)) {
    throw new UsageError('a handle has 43 characters, as list shows it; the id of a session is none')
  }
  return handle
}

type Values = ReturnType<typeof parsed>['values']

function targetFrom(values: Values, env: NodeJS.ProcessEnv): Target {
  const given = STORES.filter((store) => values[store] !== undefined)
  // A store on the command line is meant, whatever the environment says.
  const wheres = { ...(given.length === 0 && fromEnvironment(env, STORES)), ...only(values, STORES) }
  const [store, other] = STORES.filter((each) => wheres[each] !== undefined)
  if (store === undefined) throw new UsageError(`which store? One of ${STORES.map((each) => `--${each}`).join(', ')}`)
  if (other !== undefined) throw new UsageError(`--${store} and --${other}: one store at a time`)
  if (wheres[store] === '') throw new UsageError(`--${store} is empty`)
  for (const [option, its] of Object.entries(OF_STORES)) {
    if (values[option as keyof typeof OF_STORES] !== undefined && !its.includes(store)) {
      throw new UsageError(`--${option} is for --${its.join(' and --')} only`)
    }
  }
  const settings = SETTINGS.filter((each) => OF_STORES[each].includes(store))
  const keys = env[`${PREFIX}KEYS`]
    ?.split(',')
    .map((key) => key.trim())
    .filter((key) => key !== '')
  return {
    store,
    where: wheres[store] as string,
    ...fromEnvironment(env, settings),
    ...only(values, settings),
    ...(values.cluster && { cluster: true }),
    ...(keys !== undefined && keys.length > 0 && { keys }),
  }
}

type Text = StoreName | (typeof SETTINGS)[number]

function fromEnvironment(env: NodeJS.ProcessEnv, names: readonly Text[]): Partial<Record<Text, string>> {
  const found = names.map((name) => [name, env[`${PREFIX}${name.toUpperCase()}`]] as const)
  return Object.fromEntries(found.filter(([, value]) => value !== undefined && value !== ''))
}

function only(values: Values, names: readonly Text[]): Partial<Record<Text, string>> {
  return Object.fromEntries(names.filter((name) => values[name] !== undefined).map((name) => [name, values[name]]))
}

function isCommand(word: string | undefined): word is Command {
  return COMMANDS.includes(word as Command)
}

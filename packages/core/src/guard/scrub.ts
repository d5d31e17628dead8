import type { SessionRecord } from '../backend.ts'

/** Servers cut off what they quote, but never before this many characters. */
const LEAST_QUOTED = 20
/** Shorter texts than this are found by chance in any message, such as a user's number in an address. */
const LEAST_SECRET = 6
/** How many causes of causes are kept. */
const MAX_DEPTH = 4

/** What Node and the drivers say of a connection; never of what was sent over it. */
const KEPT = ['code', 'errno', 'errcode', 'syscall', 'hostname', 'address', 'port'] as const

/**
 * The driver's error without the session: drivers attach the command with all its arguments, and servers quote what they
 * refuse. What helps an operator is kept: name, message, code, address, causes.
 * @param secrets what must not be in it: the key and the record, or their beginnings
 */
export function scrubbed(error: unknown, secrets: readonly string[], depth = 1): Error {
  const { name, message, stack, cause, errors, ...rest } = fieldsOf(error)
  const text = message || errors?.map((each) => fieldsOf(each).message).join('; ') || String(error)
  const cleanText = withoutQuotes(text, secrets)
  const clean = new Error(cleanText)
  if (name && name !== 'Error') clean.name = name
  const cleanStack = stack?.replace(text, () => cleanText)
  if (cleanStack && !quotes(cleanStack, secrets)) clean.stack = cleanStack
  for (const field of KEPT) {
    if (rest[field] !== undefined) Object.assign(clean, { [field]: rest[field] })
  }
  if (cause !== undefined && depth < MAX_DEPTH) clean.cause = scrubbed(cause, secrets, depth + 1)
  return clean
}

/** What of a call's arguments is nobody's business. */
export function secretsOf(args: readonly unknown[]): string[] {
  const texts = args.flatMap((arg) => {
    if (typeof arg === 'string') return [arg]
    const { data, userId } = (arg ?? {}) as Partial<SessionRecord>
    return [data, userId]
  })
  return texts.filter((text) => text !== undefined && text.length >= LEAST_SECRET) as string[]
}

interface Fields extends Partial<Record<(typeof KEPT)[number], unknown>> {
  name?: string
  message?: string
  stack?: string
  cause?: unknown
  /** Of an `AggregateError`: one per address that was tried. */
  errors?: unknown[]
}

function fieldsOf(error: unknown): Fields {
  if (typeof error !== 'object' || error === null) return {}
  const { name, message, stack, cause, errors, code, errno, errcode, syscall, hostname, address, port } =
    error as Fields
  return { name, message, stack, cause, errors, code, errno, errcode, syscall, hostname, address, port } as Fields
}

function quotes(text: string, secrets: readonly string[]): boolean {
  return secrets.some((secret) => beginningsOf(secret).some((each) => text.includes(each)))
}

function withoutQuotes(text: string, secrets: readonly string[]): string {
  const quoted = secrets.flatMap(beginningsOf).map((each) => text.indexOf(each))
  const found = quoted.filter((at) => at >= 0)
  return found.length === 0
    ? text
    : `${text.slice(0, Math.min(...found))}… (the rest quotes the session and is left out)`
}

/** As it is, and as it stands within JSON. */
function beginningsOf(secret: string): string[] {
  return [secret.slice(0, LEAST_QUOTED), JSON.stringify(secret.slice(0, LEAST_QUOTED)).slice(1, -1)]
}

/**
 * The driver's error without the record: ioredis attaches the command with all its arguments, and servers like to quote
 * them in the message. What is kept is what helps an operator: name, message, code.
 * @param secrets what must not be in it: the key, and the stored value
 */
export function withoutRecord(error: unknown, secrets: readonly string[]): Error {
  const { name, message, code, errors, lastNodeError } = (error ?? {}) as DriverError
  const clean: Error & { code?: string } = new Error(
    redacted(message || errors?.map((each) => each.message).join('; ') || String(error), secrets),
  )
  if (name) clean.name = name
  if (code !== undefined) clean.code = code
  if (lastNodeError) clean.cause = withoutRecord(lastNodeError, secrets)
  return clean
}

interface DriverError {
  name?: string
  message?: string
  code?: string
  /** Node's `AggregateError`: one per address it tried. */
  errors?: Error[]
  /** ioredis' `ClusterAllFailedError`. */
  lastNodeError?: unknown
}

/** Servers cut off what they quote, but never at its beginning. */
const QUOTED = 20

function redacted(message: string, secrets: readonly string[]): string {
  const quotes = secrets.some((secret) => secret.length >= QUOTED && message.includes(secret.slice(0, QUOTED)))
  return quotes ? `${message.slice(0, message.indexOf(' '))} (the rest quotes the command and is left out)` : message
}

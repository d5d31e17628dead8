/** The exit codes. */
export const Exit = {
  done: 0,
  /** There is no such session, the question was not answered with yes, or `check` found something. */
  no: 1,
  /** The command line is wrong, or a package is missing. */
  wrongUse: 2,
  /** The server failed, or did not answer in time. */
  failed: 3,
} as const

export type ExitCode = (typeof Exit)[keyof typeof Exit]

/** Wrong use. Its message is all that its reader needs to see. */
export class UsageError extends Error {}

/** What an operator should know of a failure, in one line: the store's error, and the driver's reason. */
export function messageOf(error: unknown): string {
  const { message, cause } = error instanceof Error ? error : { message: String(error), cause: undefined }
  const reason = cause instanceof Error && !message.includes(cause.message) ? cause.message : ''
  return reason === '' ? message : `${message}: ${reason}`
}

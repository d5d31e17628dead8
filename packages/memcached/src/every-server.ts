import type { Batch, Call, Finding } from '@session-stores/core'
import { checkServer, unreachable } from './check.ts'
import type { Namespace } from './namespace.ts'

// What concerns the whole store, with one namespace on each server.

/** Resolves when one of them answers. */
export async function pingAny(namespaces: readonly Namespace[], call: Call): Promise<void> {
  const answered = new AbortController()
  const signal = AbortSignal.any([call.signal, answered.signal])
  try {
    await Promise.any(namespaces.map((namespace) => namespace.ping(call, signal)))
  } catch (error) {
    throw error instanceof AggregateError && error.errors.length === 1 ? error.errors[0] : error
  } finally {
    answered.abort()
  }
}

/**
 * Puts all records out of reach: one batch for all servers, whose places in the list are in `from`. Those that could not be
 * asked are left for the next batch, so that trying again ends no session on the others that began since.
 */
export async function renewEach(
  namespaces: readonly Namespace[],
  from: string | undefined,
  call: Call,
): Promise<Batch> {
  const left = namespaces.filter((_, n) => from === undefined || from.split(' ').includes(`${n}`))
  const results = await Promise.allSettled(left.map((namespace) => namespace.renew(call)))
  const failed = left.filter((_, n) => results[n]?.status === 'rejected')
  if (failed.length === 0) return {}
  if (failed.length === left.length) throw results.find((result) => result.status === 'rejected')?.reason
  return { next: failed.map((namespace) => namespaces.indexOf(namespace)).join(' ') }
}

/** One server of several that cannot be asked is a finding, once it was tried again. */
export async function checkEach(namespaces: readonly Namespace[], dataBytes: number, call: Call): Promise<Finding[]> {
  const results = await Promise.allSettled(namespaces.map((each) => checkServer(each, dataBytes, call)))
  const failed = results.find((result) => result.status === 'rejected')
  const isAnyAsked = results.some((result) => result.status === 'fulfilled')
  if (failed && (call.attempt === 1 || !isAnyAsked)) throw failed.reason
  return results.flatMap((result, n) =>
    result.status === 'fulfilled' ? result.value : [unreachable(namespaces[n] as Namespace, result.reason)],
  )
}

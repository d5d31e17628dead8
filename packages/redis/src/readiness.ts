interface Emitter {
  once(event: 'ready' | 'close', listener: () => void): unknown
  off(event: 'ready' | 'close', listener: () => void): unknown
}

/** Rejects also when the connection is lost: the client would keep the command for the next one. */
export function unlessClosed(connection: Emitter, answer: Promise<unknown>): Promise<void> {
  return new Promise((resolve, reject) => {
    const lost = () => reject(new Error('the connection was lost'))
    connection.once('close', lost)
    answer.then(() => resolve(), reject).finally(() => connection.off('close', lost))
  })
}

/** Resolves also when the client is ready before. */
export async function unlessReady(client: Emitter, attempt: Promise<void>): Promise<void> {
  const { ready, stop } = readinessOf(client)
  await Promise.race([attempt, ready]).finally(stop)
}

export async function becomesReady(client: Emitter): Promise<void> {
  const { ready, stop } = readinessOf(client)
  await unlessClosed(client, ready).finally(stop)
}

function readinessOf(client: Emitter): { ready: Promise<void>; stop: () => void } {
  let isReady = () => {}
  const ready = new Promise<void>((resolve) => {
    isReady = resolve
  })
  client.once('ready', isReady)
  return { ready, stop: () => client.off('ready', isReady) }
}

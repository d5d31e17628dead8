import { join } from 'node:path'
import { buildApp } from './app.ts'
import { ConfigError, configFrom, opening } from './config.ts'
import { openStore } from './stores/index.ts'
import { Users } from './users.ts'

try {
  await main()
} catch (error) {
  if (!(error instanceof ConfigError)) throw error
  console.error(`demo: ${error.message}`)
  process.exitCode = 1
}

async function main(): Promise<void> {
  const config = configFrom(process.env)
  if (process.env.OTEL === '1') (await import('./otel.ts')).printTraces()
  const { idleTimeout, absoluteTimeout, dataFolder, host, port } = config
  const users = opening(dataFolder, () => new Users(join(dataFolder, 'users.sqlite')))
  const sessions = await openStore(config, process.env)
  const app = buildApp(sessions, {
    users,
    secret: config.secret,
    idleTimeout,
    absoluteTimeout,
    trustProxy: config.trustProxy,
    // Fastify logs method, address and status. Headers hold the session cookie: whoever adds them finds them blanked.
    logger: { level: config.logLevel, redact: ['req.headers.cookie', 'res.headers["set-cookie"]'] },
  })

  let closing: Promise<void> | undefined
  const close = () => {
    closing ??= (async () => {
      await app.close()
      await sessions.close()
      users.close()
    })()
    return closing
  }

  let address: string
  try {
    address = await app.listen({ host, port })
  } catch (error) {
    await close()
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EADDRINUSE') throw new ConfigError(`port ${port} is in use: choose another with PORT`)
    if (code === 'EACCES') throw new ConfigError(`port ${port} is not for this user: choose another with PORT`)
    throw error
  }

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      setTimeout(() => process.exit(1), 10_000).unref() // should a client never let go
      close().then(
        () => process.exit(0), // at once, also when a driver still waits for a server that is gone
        (error) => {
          console.error(error)
          process.exit(1)
        },
      )
    })
  }
  // Fastify answers an address in numbers; its port is right also where PORT is 0
  const shown = `http://${host.includes(':') ? `[${host}]` : host}:${new URL(address).port || 80}`
  console.log(`Demo on ${shown} (sessions: ${config.store}, ${sessions.where})`)
}

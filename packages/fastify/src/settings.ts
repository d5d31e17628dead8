import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Settings } from './options.ts'

/** The decorator of an application under which the plugin's functions find its settings. */
const SETTINGS = Symbol('@session-stores/fastify')

export function keepSettings(app: FastifyInstance, settings: Settings): void {
  app.decorate(SETTINGS, settings)
}

/** @throws TypeError when the plugin was not registered for this route */
export function settingsOf({ server }: FastifyRequest): Settings {
  const settings = (server as unknown as { [SETTINGS]?: Settings })[SETTINGS]
  if (settings === undefined) throw new TypeError('register @session-stores/fastify before this route')
  return settings
}

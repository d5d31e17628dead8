import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { AbsoluteTimeout } from './absolute-timeout.ts'
import type { Settings } from './options.ts'

/** The decorator of an application under which the plugin's functions find its settings. */
const SETTINGS = Symbol('@session-stores/fastify')

export interface KeptSettings extends Settings {
  timeout: AbsoluteTimeout | undefined
  /** To be called with an error of the store before it is handed on. */
  onStoreError(error: unknown): void
}

export function keepSettings(app: FastifyInstance, settings: KeptSettings): void {
  app.decorate(SETTINGS, settings)
}

/** @throws TypeError when the plugin was not registered for this route */
export function settingsOf({ server }: FastifyRequest): KeptSettings {
  const settings = (server as unknown as { [SETTINGS]?: KeptSettings })[SETTINGS]
  if (settings === undefined) throw new TypeError('register @session-stores/fastify before this route')
  return settings
}

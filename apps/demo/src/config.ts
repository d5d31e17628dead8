import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface Config {
  host: string
  port: number
  /** The store's name; stores/index.ts knows which there are. */
  store: string
  /** Holds the demo's own files: users, SQLite sessions, the secret. */
  dataFolder: string
  secret: string
  /** Seals what sessions hold; undefined: it is stored as it is. */
  encryptionKeys: string[] | undefined
  /** The addresses of the proxies that are believed. `false`: none, the demo is reached directly. */
  trustProxy: string | false
  /** ms */
  idleTimeout: number
  /** ms */
  absoluteTimeout: number
  logLevel: string
}

/** A setting the person who starts the demo has to put right. Its message is all they need to see. */
export class ConfigError extends Error {}

/**
 * Runs what opens files of the demo. Where this user may not, or the disk is read-only or full, that is for the one who
 * starts the demo to put right.
 */
export function opening<T>(folder: string, open: () => T): T {
  try {
    return open()
  } catch (error) {
    const { message, code, cause } = error as NodeJS.ErrnoException
    if (typeof (code ?? (cause as NodeJS.ErrnoException)?.code) !== 'string') throw error
    throw new ConfigError(
      `${folder} cannot be used: ${message}. This user must be able to read and to write the folder and the files in it; ` +
        'DATA_DIR names another one',
      { cause: error },
    )
  }
}

/** Reads the settings from environment variables. The README lists them. */
export function configFrom(env: NodeJS.ProcessEnv): Config {
  const dataFolder = resolve(env.DATA_DIR || fileURLToPath(new URL('../data', import.meta.url)))
  opening(dataFolder, () => mkdirSync(dataFolder, { recursive: true, mode: 0o700 }))
  const absoluteTimeout = wholeNumber(env, 'ABSOLUTE_SECONDS', 8 * 3600, 1, 400 * 86_400) * 1000
  const idleTimeout = wholeNumber(env, 'IDLE_SECONDS', 15 * 60, 1, 400 * 86_400) * 1000
  return {
    host: env.HOST || 'localhost',
    port: wholeNumber(env, 'PORT', 3000, 0, 65_535),
    store: env.STORE || 'sqlite',
    dataFolder,
    secret: secretFrom(env, dataFolder),
    encryptionKeys: env.SEAL === '1' ? [keptSecret(dataFolder, 'sealing-key')] : undefined,
    trustProxy: trustProxyFrom(env.TRUST_PROXY),
    idleTimeout: Math.min(idleTimeout, absoluteTimeout),
    absoluteTimeout,
    logLevel: env.LOG_LEVEL || 'warn',
  }
}

function wholeNumber(env: NodeJS.ProcessEnv, name: string, otherwise: number, min: number, max: number): number {
  const text = env[name]
  if (!text) return otherwise
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= min && value <= max)) {
    throw new ConfigError(`${name} must be a whole number from ${min} to ${max}; got ${JSON.stringify(text)}`)
  }
  return value
}

function trustProxyFrom(text: string | undefined): string | false {
  if (!text) return false
  const known = ['loopback', 'linklocal', 'uniquelocal']
  for (const part of text.split(',')) {
    const [address = '', prefix = '0'] = part.trim().split('/', 2)
    if (known.includes(address) || (isIP(address) && /^\d+$/.test(prefix))) continue
    throw new ConfigError(`TRUST_PROXY must hold addresses, or ${known.join(', ')}; got ${JSON.stringify(text)}`)
  }
  return text
}

/**
 * The secret that signs the session cookie. A new one would log everybody out, so the one that is made up at the first
 * start is kept, readable by this user only. In production set SESSION_SECRET, the same on every machine.
 */
function secretFrom(env: NodeJS.ProcessEnv, dataFolder: string): string {
  if (env.SESSION_SECRET) {
    if (env.SESSION_SECRET.length < 32) throw new ConfigError('SESSION_SECRET must have 32 characters or more')
    return env.SESSION_SECRET
  }
  return keptSecret(dataFolder, 'session-secret')
}

function keptSecret(dataFolder: string, name: string): string {
  return opening(dataFolder, () => secretIn(resolve(dataFolder, name)))
}

/** 32 random bytes, made at the first start and kept. */
function secretIn(file: string): string {
  try {
    // wx: of two that start at once only one writes, and the other reads what it wrote
    writeFileSync(file, randomBytes(32).toString('base64url'), { flag: 'wx', mode: 0o600 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  const secret = readFileSync(file, 'utf8').trim()
  if (secret.length < 32) throw new ConfigError(`${file} is too short for a secret: delete it, and a new one is made`)
  return secret
}

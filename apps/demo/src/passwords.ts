import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

const derive = promisify<string, Buffer, number, ScryptOptions, Buffer>(scrypt)

/** What a hash costs, in scrypt's terms: N = 2^ln, r and p. */
export interface Cost {
  ln: number
  r: number
  p: number
}

// One of the parameter sets that the OWASP Password Storage Cheat Sheet holds equal.
// It takes 32 MiB a password; scrypt runs in libuv's pool of 4 threads, so never more than 128 MiB together.
const COST: Cost = { ln: 15, r: 8, p: 3 }
const SALT_BYTES = 16
const HASH_BYTES = 32

/** Hashes passwords, and compares them in constant time. */
export class Passwords {
  /**
   * No password has this hash. Comparing with it takes as long as with a real one, so that the time a log-in takes does
   * not tell which names exist.
   */
  readonly nobodysHash: string
  readonly #cost: Cost

  constructor(cost: Cost = COST) {
    this.#cost = cost
    this.nobodysHash = format(randomBytes(SALT_BYTES), randomBytes(HASH_BYTES), cost)
  }

  /** A password's hash with its salt and parameters, so that the parameters can be raised later. */
  async hash(password: string): Promise<string> {
    const salt = randomBytes(SALT_BYTES)
    return format(salt, await run(password, salt, this.#cost), this.#cost)
  }

  async matches(password: string, stored: string): Promise<boolean> {
    const match = /^\$scrypt\$ln=(\d+),r=(\d+),p=(\d+)\$([^$]+)\$([^$]+)$/.exec(stored)
    if (!match) return false
    const [, ln, r, p, salt = '', hash = ''] = match
    const wanted = Buffer.from(hash, 'base64url')
    const found = await run(password, Buffer.from(salt, 'base64url'), { ln: Number(ln), r: Number(r), p: Number(p) })
    return found.length === wanted.length && timingSafeEqual(found, wanted)
  }
}

function run(password: string, salt: Buffer, { ln, r, p }: Cost): Promise<Buffer> {
  const N = 2 ** ln
  // scrypt needs 128 * N * r bytes and a little more; Node's own limit is exactly that at these parameters
  const maxmem = 256 * N * r
  // One way to write each character, or a password typed on another keyboard would not match
  return derive(password.normalize('NFKC'), salt, HASH_BYTES, { N, r, p, maxmem })
}

function format(salt: Buffer, hash: Buffer, { ln, r, p }: Cost): string {
  return `$scrypt$ln=${ln},r=${r},p=${p}$${salt.toString('base64url')}$${hash.toString('base64url')}`
}

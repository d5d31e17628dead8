import { randomBytes } from 'node:crypto'
import type { Version } from './backend.ts'

const prefix = randomBytes(12).toString('base64url')
let count = 0

/**
 * A version that no other write has or will have, in this process or another: 96 random bits a process, and a count.
 * Always 24 characters, so that a record's header has a fixed layout.
 */
export function newVersion(): Version {
  count += 1
  return prefix + count.toString(36).padStart(8, '0')
}

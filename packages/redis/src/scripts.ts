import { createHash } from 'node:crypto'

// Each script works on the one key it is given, so it runs on whichever server of a Cluster has that key. The layout of the
// value is core's (record.ts there): `1 `, 16 characters of expiresAt from byte 2, 24 of the version from byte 19.

/** A Lua script and the name under which a server keeps it. */
export interface Script {
  readonly lua: string
  readonly sha1: string
}

/**
 * Arguments: the expected version, the new version, the new value, its time to live in ms.
 * A value that has the new version already is what this very command stored when it was sent the first time: it is left
 * alone, since a touch may have moved its expiry meanwhile.
 */
export const REPLACE = script(`
local version = redis.call('GETRANGE', KEYS[1], 19, 42)
if version == ARGV[2] then return 'replaced' end
if version ~= ARGV[1] then
  if version == '' and redis.call('PTTL', KEYS[1]) == -2 then return 'missing' end
  return 'conflict'
end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
return 'replaced'
`)

/**
 * Arguments: the expected version, the new expiresAt in its fixed width, its time to live in ms.
 * The time to live goes first: should the server refuse the second write, the key only stays a little longer than it
 * must.
 */
export const TOUCH = script(`
local head = redis.call('GETRANGE', KEYS[1], 2, 42)
if string.sub(head, 18) ~= ARGV[1] then return 0 end
if tonumber(string.sub(head, 1, 16)) < tonumber(ARGV[2]) then
  if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
  redis.call('SETRANGE', KEYS[1], 2, ARGV[2])
end
return 1
`)

function script(lua: string): Script {
  return { lua, sha1: createHash('sha1').update(lua).digest('hex') }
}

import { createHash } from 'node:crypto'
import type { Commands } from './driver.ts'

// A session's value has core's layout (record.ts there): `1 `, 16 characters of expiresAt from byte 2, 24 of the version from
// byte 19, createdAt from byte 44, then perhaps a space and the user's id as JSON, and a line feed.
//
// On one server, a script that writes a session of a user also lists it in that user's index, so it is given two keys. In a
// Cluster these are on different servers: there a script is given the session's key alone, and `LIST` runs before it.

/** A Lua script and the name under which a server keeps it. */
export interface Script {
  readonly lua: string
  readonly sha1: string
}

/** Runs a script by its name; the whole text goes only to a server that does not know it yet. */
export async function run<T>(redis: Commands, script: Script, keys: string[], ...args: Argument[]): Promise<T> {
  try {
    return (await redis.evalsha(script.sha1, keys.length, ...keys, ...args)) as T
  } catch (error) {
    if (!(error as Error).message?.startsWith('NOSCRIPT')) throw error
    return (await redis.eval(script.lua, keys.length, ...keys, ...args)) as T
  }
}

export type Argument = string | Buffer

/**
 * The index of a user is a sorted set of the keys of the user's sessions, without prefix. The score holds two times of the
 * server's clock in minutes: when the session's key expires, times a million, and when it was listed last, modulo a million.
 * By the first, listing a session drops all entries that are over, and the index expires with its last entry. By the second,
 * an entry without a session is known to be none whose session is just being written.
 */
const INDEX = `
local function minute() return math.floor(redis.call('TIME')[1] / 60) end

local function expire(index)
  local last = redis.call('ZREVRANGE', index, 0, 0, 'WITHSCORES')[2]
  if last then redis.call('PEXPIREAT', index, string.format('%.0f', (math.floor(last / 1e6) + 1) * 60000)) end
end

local function list(index, key, ttl)
  local now = minute()
  local last = math.min(now + math.ceil(ttl / 60000), 9e9)
  redis.call('ZREMRANGEBYSCORE', index, '-inf', string.format('(%.0f', now * 1e6))
  redis.call('ZADD', index, string.format('%.0f', last * 1e6 + now % 1e6), string.sub(key, -43))
  expire(index)
end
`

/** Arguments: the value, its time to live in ms. */
export const WRITE = script(`${INDEX}
list(KEYS[2], KEYS[1], ARGV[2])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
`)

/** Arguments: the version, the value, its time to live in ms. */
export const INSERT = script(`${INDEX}
if redis.call('PTTL', KEYS[1]) == -2 then
  if KEYS[2] then list(KEYS[2], KEYS[1], ARGV[3]) end
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  return 'inserted'
end
return redis.call('GETRANGE', KEYS[1], 19, 42) == ARGV[1] and 'inserted' or 'exists'
`)

/**
 * A value that has the new version already is what this very command stored when it was sent the first time: it is left
 * alone, since a touch may have moved its expiry meanwhile.
 */
const REPLACING = `
local function replace(key, index, expected, version, value, ttl)
  local stored = redis.call('GETRANGE', key, 19, 42)
  if stored == version then return 'replaced' end
  if stored ~= expected then
    if stored == '' and redis.call('PTTL', key) == -2 then return 'missing' end
    return 'conflict'
  end
  if index then list(index, key, ttl) end
  redis.call('SET', key, value, 'PX', ttl)
  return 'replaced'
end
`

/** Arguments: the expected version, the new version, the new value, its time to live in ms. */
export const REPLACE = script(`${INDEX}${REPLACING}
return replace(KEYS[1], KEYS[2], unpack(ARGV))
`)

/**
 * The time to live goes first: should the server refuse the second write, the key only stays a little longer than it
 * must.
 */
const TOUCHING = `
local function touch(key, index, expected, expires, ttl)
  local head = redis.call('GETRANGE', key, 2, 42)
  if string.sub(head, 18) ~= expected then return 0 end
  if tonumber(string.sub(head, 1, 16)) < tonumber(expires) then
    if redis.call('PTTL', key) < tonumber(ttl) then redis.call('PEXPIRE', key, ttl) end
    if index then list(index, key, ttl) end
    redis.call('SETRANGE', key, 2, expires)
  end
  return 1
end
`

/** Arguments: the expected version, the new expiresAt in its fixed width, its time to live in ms. */
export const TOUCH = script(`${INDEX}${TOUCHING}
return touch(KEYS[1], KEYS[2], unpack(ARGV))
`)

/** How many characters a number has in the argument of `CHANGE_MANY`. */
export const NUMBER_WIDTH = 16

/**
 * Many replaces and touches. Keys: of each the session's, and its user's index if it has one. One argument, which holds one
 * behind the other: `r` or `t`, the number of its keys, the expected version; then for a replace the new version, the time to
 * live in ms, the length of the value in bytes and the value; for a touch the new expiresAt and the time to live. Answers for
 * each what `REPLACE` or `TOUCH` would, or the text of its error behind a `!`.
 */
export const CHANGE_MANY = script(`${INDEX}${REPLACING}${TOUCHING}
local at = 1
local function take(length)
  local part = string.sub(ARGV[1], at, at + length - 1)
  at = at + length
  return part
end
local function number() return tonumber(take(${NUMBER_WIDTH})) end

local answers = {}
local n = 1
while n <= #KEYS do
  local verb, count, expected = take(1), tonumber(take(1)), take(24)
  local key, index = KEYS[n], count == 2 and KEYS[n + 1] or nil
  local ok, answer
  if verb == 'r' then
    local version, ttl, length = take(24), number(), number()
    ok, answer = pcall(replace, key, index, expected, version, take(length), ttl)
  else
    local expires = take(16)
    ok, answer = pcall(touch, key, index, expected, expires, number())
  end
  if not ok then answer = '!' .. (type(answer) == 'table' and answer.err or tostring(answer)) end
  answers[#answers + 1] = answer
  n = n + count
end
return answers
`)

/**
 * Lists a session that is about to be written. Keys: the index alone. Arguments: the session's key, its time to live in ms.
 * Answers whether it was listed already.
 */
export const LIST = script(`${INDEX}
local wasListed = redis.call('ZSCORE', KEYS[1], ARGV[1])
list(KEYS[1], ARGV[1], ARGV[2])
return wasListed and 1 or 0
`)

/** Deletes a session. Answers whether there was one, and the id of its user as JSON when it has one. */
export const REMOVE = script(`
local head = redis.call('GETRANGE', KEYS[1], 44, 1100)
return { redis.call('DEL', KEYS[1]), string.match(head, '^%-?%d+ ("[^\\n]*")\\n') }
`)

/**
 * Deletes those of some sessions that are this user's. Keys: the sessions', and on one server the user's index.
 * Arguments: the user's id as JSON, the number of sessions.
 */
export const REMOVE_OF_USER = script(`${INDEX}
local removed = 0
local index = KEYS[ARGV[2] + 1]
for n = 1, tonumber(ARGV[2]) do
  local head = redis.call('GETRANGE', KEYS[n], 44, 63 + #ARGV[1])
  if string.match(head, '^%-?%d+ ([^\\n]*)\\n') == ARGV[1] then
    removed = removed + redis.call('DEL', KEYS[n])
    if index then redis.call('ZREM', index, string.sub(KEYS[n], -43)) end
  end
end
if index then expire(index) end
return removed
`)

/** Takes a session that is gone out of its user's index, on one server. Keys: the index, the session's. */
export const UNLIST = script(`${INDEX}
if redis.call('PTTL', KEYS[2]) == -2 then
  redis.call('ZREM', KEYS[1], string.sub(KEYS[2], -43))
  expire(KEYS[1])
end
`)

/**
 * Lets entries of sessions that were removed end in ten minutes, much longer than a write may take: should one of them be
 * just being written again, it is listed anew before that. In a Cluster. Keys: the index. Arguments: the sessions' keys.
 */
export const UNLIST_SOON = script(`${INDEX}
local soon = minute() + 10
for _, key in ipairs(ARGV) do
  local score = redis.call('ZSCORE', KEYS[1], key)
  if score and math.floor(score / 1e6) > soon then
    redis.call('ZADD', KEYS[1], string.format('%.0f', soon * 1e6 + score % 1e6), key)
  end
end
expire(KEYS[1])
`)

/**
 * Takes sessions that were not found out of their user's index, except those that were listed within the last ten minutes:
 * much longer ago than a write may take. A server with another clock may have listed one in what is the future here: that
 * looks like almost a million minutes ago. Keys: the index. Arguments: the sessions' keys.
 */
export const UNLIST_OLD = script(`${INDEX}
local now = minute()
for _, key in ipairs(ARGV) do
  local age = (now - (redis.call('ZSCORE', KEYS[1], key) or now)) % 1e6
  if age > 10 and age < 5e5 then redis.call('ZREM', KEYS[1], key) end
end
expire(KEYS[1])
`)

function script(lua: string): Script {
  return { lua, sha1: createHash('sha1').update(lua).digest('hex') }
}

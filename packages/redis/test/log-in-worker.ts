// An application that logs a user in and is killed before one of the commands by which this changes something in Redis. It
// ends well when there are not that many. node log-in-worker.ts <ports as JSON: one server's, or a Cluster's> <prefix> <which
// command, from 1>
import { Browser, buildApp, userOf } from '@session-stores/testing'
import { Cluster, Redis } from 'ioredis'
import { RedisStore } from '../src/index.ts'

const [ports = '', prefix = '', which = ''] = process.argv.slice(2)
const nodes = (JSON.parse(ports) as number[]).map((port) => ({ host: '127.0.0.1', port }))
const client = nodes.length > 1 ? new Cluster(nodes) : new Redis(nodes[0] ?? {})
const app = buildApp(new RedisStore({ client, prefix, userOf, maxPerUser: 2 }))
await app.listen({ host: '127.0.0.1', port: 0 })

const browser = new Browser(app)
await browser.post('/set/theme/dark')

const { sendCommand } = Redis.prototype
let left = Number(which)
Redis.prototype.sendCommand = function (command, stream) {
  if (['set', 'del', 'evalsha', 'eval'].includes(command.name)) left -= 1
  if (left === 0) process.kill(process.pid, 'SIGKILL')
  return sendCommand.call(this, command, stream)
}
await browser.post('/login/ada') // ends the visitor's session, begins one of nobody, and makes it ada's
await new Browser(app).post('/set/user/bob') // begins a session that is bob's at once
await app.close()
client.disconnect()

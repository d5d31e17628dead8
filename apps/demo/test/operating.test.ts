import { execFile, spawn } from 'node:child_process'
import { hash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { until } from '@session-stores/testing'
import { expect, onTestFinished, test } from 'vitest'
import { stores } from './demo.ts'
import { Visitor } from './visitor.ts'

interface PrintedSpan {
  name: string
  traceId: string
  id: string
  /** Undefined for the first of a trace. */
  parent: string | undefined
  route: string | undefined
  outcome: string | undefined
}

test('with OTEL=1 a request shows as one trace, with the spans of its session store', async () => {
  const demo = await startDemo({ OTEL: '1' })
  const ada = Visitor.at(demo.origin)
  await ada.signUp('ada', 'correct horse battery')
  await ada.get('/profile') // takes the greeting out of the session
  expect((await ada.get('/profile')).status).toBe(200)
  await demo.stop()

  const spans = spansIn(demo.output())
  const root = spans.findLast(({ route, parent }) => route === '/profile' && parent === undefined)
  const ofRequest = spans.filter(({ traceId }) => traceId === root?.traceId)
  const ofStore = ofRequest.filter(({ outcome }) => outcome !== undefined)
  expect(ofStore.map(({ name, outcome }) => `${name}: ${outcome}`)).toEqual([
    'get sessions: hit',
    'set sessions: skipped',
  ])
  for (const span of ofRequest) if (span !== root) expect(ofRequest.map(({ id }) => id)).toContain(span.parent)
  expect(sessionIdOf(ada).length).toBeGreaterThan(20)
  expect(demo.output(), 'no session id').not.toContain(sessionIdOf(ada))
})

const lasting = stores.filter(({ name }) => name !== 'memory')
test.each(lasting)('the command line manages its sessions: $name', async ({ name, serve }) => {
  const served = await serve?.()
  onTestFinished(() => served?.[Symbol.asyncDispose]())
  const { origin, folder } = await startDemo({ STORE: name, ...served?.env })
  const [where = join(folder, 'sessions.sqlite')] = Object.values(served?.env ?? {})
  const [ada, bob] = [Visitor.at(origin), Visitor.at(origin)]
  await ada.signUp('ada', 'correct horse battery')
  await bob.signUp('bob', 'correct horse battery')
  const manage = async (...args: string[]) => {
    const command = [cli, ...args, `--${name}`, where]
    return (await promisify(execFile)(process.execPath, command, { cwd: import.meta.dirname })).stdout
  }
  const handle = hash('sha256', sessionIdOf(ada), 'base64url')
  // Memcached can neither count nor list.
  if (name !== 'memcached') {
    expect(await manage('count')).toBe('2\n')
    expect(await manage('list', '--json')).toContain(`"handle":"${handle}"`)
  }
  expect(await manage('show', handle)).toMatch(/^began /m)
  expect(await manage('end', handle, '--yes')).toBe('ended\n')
  expect([await ada.isLoggedIn(), await bob.isLoggedIn()]).toEqual([false, true])
})

const cli = fileURLToPath(new URL('../node_modules/@session-stores/cli/dist/main.js', import.meta.url))

function sessionIdOf({ cookies }: Visitor): string {
  const [cookie = ''] = cookies.values()
  return decodeURIComponent(cookie).split('.')[0] ?? ''
}

/** The demo as a process of its own, until the test ends. */
async function startDemo(env: NodeJS.ProcessEnv = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'demo-test-'))
  const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))
  const child = spawn(process.execPath, ['--experimental-strip-types', '--no-warnings', main], {
    env: { PATH: process.env.PATH, DATA_DIR: folder, PORT: '0', STORE: 'sqlite', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text
  })
  const stop = async () => {
    if (child.exitCode !== null) return
    child.kill('SIGTERM')
    await once(child, 'close')
  }
  onTestFinished(async () => {
    await stop()
    rmSync(folder, { recursive: true })
  })
  const origin = await until('the demo listens', () => /http:\S+/.exec(output)?.[0])
  return { origin, folder, stop, output: () => output }
}

/** What the console exporter prints of each span: an object of JavaScript. */
function spansIn(output: string): PrintedSpan[] {
  return output.split(/^\}$/m).flatMap((text) => {
    const field = (pattern: RegExp) => pattern.exec(text)?.[1]
    const [traceId, name, id] = [
      field(/^ {2}traceId: '(\w+)'/m),
      field(/^ {2}name: '(.*)'/m),
      field(/^ {2}id: '(\w+)'/m),
    ]
    if (traceId === undefined || name === undefined || id === undefined) return []
    return {
      traceId,
      name,
      id,
      parent: field(/^ {2}parentSpanContext: \{[^}]*spanId: '(\w+)'/m),
      route: field(/'http.route': '(.*)'/),
      outcome: field(/'session.outcome': '(\w+)'/),
    }
  })
}

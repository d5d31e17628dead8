// npm run demo:screenshots: takes the pictures in the demo's README anew. Needs Chromium and redis-server.
import { join } from 'node:path'
import { run } from './processes.mjs'
import { provide } from './servers.mjs'
import { fail, home, install, root, toolchain } from './toolchain.mjs'

const env = { ...(await toolchain()), XDG_CONFIG_HOME: join(home, 'config') } // the browser writes there
await install(env)
if (!(await provide(['npm run demo:screenshots'], env))) fail('the programs are not there that it needs')

const built = await run('turbo', ['run', 'build', '--filter=demo^...'], { cwd: root, env, quiet: true })
if (built.code !== 0) fail('the demo could not be built', built.code)

// The flag is for Node 22 before 22.18, and does nothing on others.
const script = [
  '--experimental-strip-types',
  '--disable-warning=ExperimentalWarning',
  join('scripts', 'screenshots.ts'),
]
const taken = await run('node', script, { cwd: join(root, 'apps', 'demo'), env })
process.exit(taken.code)

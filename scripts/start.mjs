// npm start: the demo on http://localhost:3000, or on PORT. See apps/demo/README.md for its other settings.
import { join } from 'node:path'
import { run } from './processes.mjs'
import { fail, install, root, toolchain } from './toolchain.mjs'

const env = await toolchain()
await install(env)

const built = await run('turbo', ['run', 'build', '--filter=demo^...'], { cwd: root, env, quiet: true })
if (built.code !== 0) fail('the demo could not be built', built.code)

// The first flag is for Node 22 before 22.18, and does nothing on others.
const main = ['--experimental-strip-types', '--disable-warning=ExperimentalWarning', join('src', 'main.ts')]
const demo = await run('node', main, { cwd: join(root, 'apps', 'demo'), env })
process.exit(demo.code)

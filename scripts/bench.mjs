// npm run bench: the stores of this repository beside others. -- --help for what it takes.
import { join } from 'node:path'
import { run } from './processes.mjs'
import { provide } from './servers.mjs'
import { fail, install, root, toolchain } from './toolchain.mjs'

const env = await toolchain()
await install(env)
// Stores on a server that is not there are left out.
await provide(['npm run bench'], env)

const built = await run('turbo', ['run', 'build', '--filter=./packages/*'], { cwd: root, env, quiet: true })
if (built.code !== 0) fail('the stores could not be built', built.code)

// The flag is for Node 22 before 22.18, and does nothing on others.
const main = ['--experimental-strip-types', join('apps', 'bench', 'src', 'main.ts')]
const bench = await run('node', [...main, ...process.argv.slice(2)], { cwd: root, env })
process.exit(bench.code)

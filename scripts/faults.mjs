// npm run faults: the fault matrix, on all stores. See apps/faults/src/main.ts for what may follow after --.
import { join } from 'node:path'
import { run } from './processes.mjs'
import { leftOut, provide } from './servers.mjs'
import { fail, install, root, toolchain } from './toolchain.mjs'

const env = await toolchain()
await install(env)
for (const text of leftOut(['faults'], env).words) console.log(`LEFT OUT  ${text}`)
if (!(await provide(['faults'], env))) fail('not all servers are there that the matrix needs')

const built = await run('turbo', ['run', 'build', '--filter=faults^...'], { cwd: root, env, quiet: true })
if (built.code !== 0) fail('the stores could not be built', built.code)

const matrix = await run('node', [join(root, 'apps', 'faults', 'src', 'main.ts'), ...process.argv.slice(2)], { env })
process.exit(matrix.code)

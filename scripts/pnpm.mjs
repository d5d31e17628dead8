// npm run pnpm -- <anything>: the pnpm and the Node of this repository, whatever the machine has.
import { run } from './processes.mjs'
import { toolchain } from './toolchain.mjs'

const { code } = await run('pnpm', process.argv.slice(2), { env: await toolchain(), interactive: true })
process.exit(code)

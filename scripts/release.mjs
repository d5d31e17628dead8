// npm run release: builds the packages, and publishes those whose version the registry does not have yet. CI runs it when
// the version pull request is merged; npm knows CI by the workflow's identity (trusted publishing), so there is no token.
import { run } from './processes.mjs'
import { fail, root, toolchain } from './toolchain.mjs'

const env = await toolchain()
const asked = await run('pnpm', ['config', 'get', '@session-stores:registry'], { cwd: root, env, quiet: true })
const rehearsed = asked.stdout.startsWith('http://127.0.0.1:')
if (env.GITHUB_ACTIONS !== 'true' && !rehearsed) fail('releases are made by CI; see .github/workflows/release.yml')

const built = await run('turbo', ['run', 'build', '--filter=./packages/*'], { cwd: root, env })
if (built.code !== 0) fail('the packages could not be built', built.code)

const { code } = await run('changeset', ['publish'], { cwd: root, env })
process.exit(code)

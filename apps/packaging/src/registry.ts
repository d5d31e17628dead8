import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { freePort, ServerProcess, until } from '@session-stores/testing'
import { removeScratch, scratchFolder } from './scratch.ts'

/**
 * A real npm registry of the tests' own, on a free loopback port, empty and without a way to any other. Whoever reaches it
 * may publish the packages of our scope, and it takes no others.
 */
export class Registry {
  readonly url: string
  readonly #folder: string
  readonly #process: ServerProcess

  static async start(): Promise<Registry> {
    const registry = new Registry(scratchFolder('registry'), await freePort())
    await until('the registry answers', async () => {
      if (!registry.#process.alive) throw new Error(registry.#process.output)
      return (await fetch(`${registry.url}/-/ping`)).ok
    })
    return registry
  }

  private constructor(folder: string, port: number) {
    this.url = `http://127.0.0.1:${port}`
    this.#folder = folder
    const config = {
      storage: join(folder, 'storage'),
      auth: { htpasswd: { file: join(folder, 'htpasswd'), max_users: -1 } },
      packages: { '@session-stores/*': { access: '$all', publish: '$all', unpublish: '$all' } },
      log: { type: 'stdout', format: 'pretty', level: 'warn' },
      web: { enable: false },
    }
    const path = join(folder, 'config.yaml') // JSON is YAML
    writeFileSync(path, JSON.stringify(config))
    this.#process = new ServerProcess(process.execPath, [verdaccio(), '--config', path, '--listen', this.url])
  }

  /** For a user's npm: our packages from here, all others from where they always come from. */
  get npmrc(): string {
    return `@session-stores:registry=${this.url}/\n`
  }

  /**
   * For whoever publishes: everything from here and to here. npm publishes nothing without a token; this one is of
   * no use anywhere, and is in no file.
   */
  publisher(): { npmrc: string; env: NodeJS.ProcessEnv; token: string } {
    const token = randomBytes(24).toString('hex')
    const host = this.url.replace('http:', '')
    return {
      npmrc: `registry=${this.url}/\n${this.npmrc}${host}/:_authToken=\${REHEARSAL_TOKEN}\n`,
      env: { REHEARSAL_TOKEN: token },
      token,
    }
  }

  /** The versions that it has of a package. */
  async versions(name: string): Promise<string[]> {
    const answer = await fetch(`${this.url}/${name.replace('/', '%2f')}`)
    if (!answer.ok) throw new Error(`${name}: ${answer.status}`)
    const { versions } = (await answer.json()) as { versions: Record<string, unknown> }
    return Object.keys(versions)
  }

  async stop(): Promise<void> {
    await this.#process.stop()
    removeScratch(this.#folder)
  }
}

/** The program, from the package's own `bin`. */
function verdaccio(): string {
  const manifest = createRequire(import.meta.url).resolve('verdaccio/package.json')
  const { bin } = JSON.parse(readFileSync(manifest, 'utf8')) as { bin: string | Record<string, string> }
  const path = join(manifest, '..', typeof bin === 'string' ? bin : (bin.verdaccio ?? ''))
  if (!existsSync(path)) throw new Error(`no ${path}`)
  return path
}

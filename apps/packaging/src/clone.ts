import { cpSync, existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import type { Registry } from './registry.ts'
import { run } from './run.ts'
import { removeScratch, scratchFolder } from './scratch.ts'
import { root } from './workspace.ts'

/** A clone of this repository with what is on disk here, committed or not, to be released from. */
export class Clone {
  readonly folder: string
  readonly #home = scratchFolder('publisher')

  static async make(): Promise<Clone> {
    const clone = new Clone(scratchFolder('release'))
    await clone.#fill()
    return clone
  }

  private constructor(folder: string) {
    this.folder = folder
  }

  async #fill(): Promise<void> {
    // Without the tags of releases that were made: this registry has none of them
    await run('git', ['clone', '--quiet', '--no-hardlinks', '--no-tags', root, this.folder], this.#home)
    await this.#git('config', 'user.name', 'Rehearsal')
    await this.#git('config', 'user.email', 'rehearsal@localhost')
    await this.#git('remote', 'remove', 'origin')
    const changed = await run('git', ['diff', '-z', '--name-only', '--no-renames', 'HEAD'], root)
    const added = await run('git', ['ls-files', '-z', '--others', '--exclude-standard'], root)
    for (const file of `${changed}${added}`.split('\0').filter(Boolean)) {
      const [here, there] = [join(root, file), join(this.folder, file)]
      mkdirSync(dirname(there), { recursive: true })
      if (existsSync(here)) cpSync(here, there)
      else rmSync(there, { force: true })
    }
    await this.commit('What is not committed yet')
    this.#tellWherePnpmIs()
    const store = ['--store-dir', join(root, '.cache', 'pnpm-store')]
    await run('pnpm', ['install', '--offline', '--frozen-lockfile', ...store], this.folder)
  }

  /** One of the repository's own scripts, as CI runs it. */
  async script(name: string, env?: NodeJS.ProcessEnv): Promise<string> {
    return run('npm', ['run', name], this.folder, env)
  }

  /** The packages that a changeset asks to be released, as their folders are called. */
  pending(): string[] {
    const files = globSync('.changeset/*.md', { cwd: this.folder }).filter((file) => !file.endsWith('README.md'))
    const heads = files.map((file) => readFileSync(join(this.folder, file), 'utf8').split('\n---')[0])
    return [...heads.join('\n').matchAll(/^['"]?@session-stores\/(\w+)['"]?: (?:patch|minor|major)$/gm)].map(
      ([, short = '']) => short,
    )
  }

  /** Writes a changeset: `{ core: 'patch' }` and the text for the changelogs. */
  changeset(file: string, bumps: Record<string, string>, text: string): void {
    const lines = Object.entries(bumps).map(([short, bump]) => `'@session-stores/${short}': ${bump}`)
    writeFileSync(join(this.folder, '.changeset', `${file}.md`), ['---', ...lines, '---', '', text, ''].join('\n'))
  }

  /** Publishes to the registry, and to nowhere else: npm has no other configuration, and so no other token. Answers the one it used. */
  async publish(registry: Registry): Promise<string> {
    const { npmrc, env, token } = registry.publisher()
    const path = join(this.#home, 'npmrc')
    writeFileSync(path, npmrc)
    const only = {
      ...env,
      NPM_CONFIG_USERCONFIG: path,
      npm_config_userconfig: path,
      npm_config_globalconfig: '/dev/null',
    }
    const goesTo = await run('pnpm', ['config', 'get', '@session-stores:registry'], this.folder, only)
    if (goesTo.trim() !== `${registry.url}/`) throw new Error(`would publish to ${goesTo}`)
    await this.script('release', only)
    return token
  }

  async commit(message: string): Promise<void> {
    await this.#git('add', '--all')
    await this.#git(
      '-c',
      'commit.gpgsign=false',
      'commit',
      '--quiet',
      '--allow-empty',
      '--no-verify',
      '--message',
      message,
    )
  }

  /** Takes back what is not committed. */
  async undo(): Promise<void> {
    await this.#git('reset', '--quiet', '--hard')
    await this.#git('clean', '--quiet', '--force', '-d')
  }

  /** Replaces a word in these files. */
  replace(pattern: string, word: string, by: string): void {
    for (const file of globSync(pattern, { cwd: this.folder })) {
      const path = join(this.folder, file)
      writeFileSync(path, readFileSync(path, 'utf8').replaceAll(word, by))
    }
  }

  /** What is not committed. */
  async status(): Promise<string[]> {
    return (await this.#git('status', '--porcelain')).split('\n').filter(Boolean)
  }

  async tags(): Promise<string[]> {
    return (await this.#git('tag', '--list')).split('\n').filter(Boolean)
  }

  remove(): void {
    removeScratch(this.folder)
    removeScratch(this.#home)
  }

  /** Or else the scripts would look for it in the registry of the rehearsal. See scripts/toolchain.mjs. */
  #tellWherePnpmIs(): void {
    const { devEngines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    const folder = (process.env.PATH ?? '').split(delimiter).find((each) => existsSync(join(each, 'pnpm')))
    mkdirSync(join(this.folder, '.cache'), { recursive: true })
    const known = { [`pnpm@${devEngines.packageManager.version}`]: folder }
    writeFileSync(join(this.folder, '.cache', 'toolchain.json'), JSON.stringify(known))
  }

  #git(...args: string[]): Promise<string> {
    return run('git', args, this.folder)
  }
}

import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Registry } from './registry.ts'
import { attempt, type Outcome, run } from './run.ts'
import { removeScratch, scratchFolder } from './scratch.ts'
import { root } from './workspace.ts'

/** The folder of somebody who uses our packages: empty, and nowhere near the workspace. */
export class Consumer {
  readonly folder = scratchFolder('consumer')

  constructor(registry: Registry) {
    writeFileSync(join(this.folder, '.npmrc'), registry.npmrc)
    writeFileSync(join(this.folder, 'package.json'), '{ "private": true }\n')
  }

  /** `npm install …`, as on a package's page. */
  async install(...what: string[]): Promise<void> {
    await run('npm', ['install', ...quietly, ...what], this.folder)
  }

  /** The same, when it may fail. */
  tryInstall(...what: string[]): Promise<Outcome> {
    return attempt('npm', ['install', ...quietly, ...what], this.folder)
  }

  /** What npm installed: each place in `node_modules`, and the version there. */
  installed(): Map<string, string> {
    const lock = JSON.parse(readFileSync(join(this.folder, 'node_modules', '.package-lock.json'), 'utf8'))
    const packages = Object.entries(lock.packages as Record<string, { version: string }>)
    return new Map(packages.map(([place, { version }]) => [place.replace(/^node_modules\//, ''), version]))
  }

  /** Its package.json. */
  manifest(): Record<string, unknown> {
    return JSON.parse(readFileSync(join(this.folder, 'package.json'), 'utf8'))
  }

  /** The bytes that are in `node_modules`. */
  bytes(): number {
    return bytesIn(join(this.folder, 'node_modules'))
  }

  /** Whether npm finds that everything fits together; what it prints otherwise. */
  list(): Promise<Outcome> {
    return attempt('npm', ['ls', '--all'], this.folder)
  }

  write(file: string, text: string): string {
    const path = join(this.folder, file)
    mkdirSync(join(path, '..'), { recursive: true })
    writeFileSync(path, text)
    return path
  }

  /** Compiles programs as strictly as can be, the declarations of all packages included. Answers the folder with them. */
  async compile(resolution: 'nodenext' | 'bundler', ...files: string[]): Promise<string> {
    const outDir = `compiled-${resolution}`
    const config = {
      compilerOptions: {
        strict: true,
        skipLibCheck: false,
        target: 'es2023',
        module: resolution === 'nodenext' ? 'nodenext' : 'esnext',
        moduleResolution: resolution,
        types: ['node'],
        exactOptionalPropertyTypes: true,
        noUncheckedIndexedAccess: true,
        rootDir: '.',
        outDir,
      },
      files,
    }
    const path = this.write(`tsconfig.${resolution}.json`, JSON.stringify(config))
    await run(process.execPath, [tsc, '-p', path, '--pretty', 'false'], this.folder)
    return join(this.folder, outDir)
  }

  remove(): void {
    removeScratch(this.folder)
  }
}

const quietly = ['--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=warn']

const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
if (!existsSync(tsc)) throw new Error(`no ${tsc}`)

function bytesIn(path: string): number {
  const stat = lstatSync(path)
  if (!stat.isDirectory()) return stat.isFile() ? stat.size : 0
  return readdirSync(path).reduce((sum, name) => sum + bytesIn(join(path, name)), 0)
}

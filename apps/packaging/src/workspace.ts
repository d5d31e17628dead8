import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The root of the repository. */
export const root = fileURLToPath(new URL('../../..', import.meta.url))

export interface Manifest {
  name: string
  version: string
  private?: boolean
  description?: string
  license?: string
  keywords?: string[]
  homepage?: string
  bugs?: string
  repository?: { type: string; url: string; directory?: string }
  type?: string
  sideEffects?: boolean
  engines?: Record<string, string>
  exports?: Record<string, unknown>
  publishConfig?: Record<string, unknown>
  dependencies?: Record<string, string>
  peerDependencies?: Record<string, string>
  optionalDependencies?: Record<string, string>
}

export interface Package {
  /** The folder's name, which is the package's name without its scope. */
  short: string
  folder: string
  manifest: Manifest
}

/** The packages that are published, of the checkout at `from`. */
export function publishedPackages(from: string = root): Package[] {
  return readdirSync(join(from, 'packages'))
    .sort()
    .map((short) => {
      const folder = join(from, 'packages', short)
      return { short, folder, manifest: readManifest(folder) }
    })
    .filter(({ manifest }) => !manifest.private)
}

export function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest
}

import { execFileSync } from 'node:child_process'
import { rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { dataFolder, removeFolder } from '@session-stores/testing'

/** A file system of a few MiB in memory that can be filled up. To make one takes root's rights, and Linux. */
export class SmallDisk {
  readonly folder = dataFolder('small-disk')

  /** @param owner whose it is, if not ours */
  constructor(mebibytes: number, owner: { uid?: number; gid?: number } = {}) {
    const { uid = 0, gid = 0 } = owner
    execFileSync('mount', [
      '-t',
      'tmpfs',
      '-o',
      `size=${mebibytes}m,mode=0700,uid=${uid},gid=${gid}`,
      'tmpfs',
      this.folder,
    ])
    mounted.add(this)
  }

  /** Takes all the room that is left, which others may take some of meanwhile. */
  fill(): void {
    const { bavail, bsize } = statfsSync(this.folder)
    try {
      writeFileSync(this.#filler, Buffer.alloc(bavail * bsize))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    }
  }

  /** Gives it back. */
  empty(): void {
    rmSync(this.#filler)
  }

  remove(): void {
    mounted.delete(this)
    execFileSync('umount', [this.folder])
    removeFolder(this.folder)
  }

  get #filler(): string {
    return join(this.folder, 'filler')
  }
}

const mounted = new Set<SmallDisk>()
process.on('exit', () => {
  // Whoever still has files open on it keeps it until then
  for (const { folder } of mounted) execFileSync('umount', ['--lazy', folder])
})

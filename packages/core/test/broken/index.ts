import { brokenBatched } from './batched.ts'
import { brokenBatches } from './batches.ts'
import { brokenChecks } from './check.ts'
import { brokenFactories } from './factories.ts'
import { brokenGivingUp } from './giving-up.ts'
import type { Broken } from './open.ts'
import { brokenInOutages } from './outages.ts'
import { brokenRecords } from './records.ts'
import { brokenReplacing } from './replacing.ts'
import { brokenStores } from './stores.ts'
import { brokenUsers } from './users.ts'

/** Stores that are broken on purpose, so that the cases show that they notice. */
export const broken: Broken[] = [
  ...brokenFactories,
  ...brokenRecords,
  ...brokenReplacing,
  ...brokenBatches,
  ...brokenGivingUp,
  ...brokenStores,
  ...brokenInOutages,
  ...brokenBatched,
  ...brokenUsers,
  ...brokenChecks,
]

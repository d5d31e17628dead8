import { brokenBatched } from './broken/batched.ts'
import { brokenBatches } from './broken/batches.ts'
import { brokenGivingUp } from './broken/giving-up.ts'
import { theCasesNotice } from './broken/noticed.ts'

theCasesNotice([...brokenBatched, ...brokenBatches, ...brokenGivingUp])

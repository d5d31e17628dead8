import { brokenChecks } from './broken/check.ts'
import { theCasesNotice } from './broken/noticed.ts'
import { brokenInOutages } from './broken/outages.ts'
import { brokenStores } from './broken/stores.ts'
import { brokenUsers } from './broken/users.ts'

theCasesNotice([...brokenChecks, ...brokenInOutages, ...brokenStores, ...brokenUsers])

import { brokenFactories } from './broken/factories.ts'
import { theCasesNotice } from './broken/noticed.ts'
import { brokenRecords } from './broken/records.ts'
import { brokenReplacing } from './broken/replacing.ts'

theCasesNotice([...brokenFactories, ...brokenRecords, ...brokenReplacing])

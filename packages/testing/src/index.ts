export * from './plugin-cases.ts'
export * from './process.ts'
export * from './sealed-run.ts'
export * from './user-cases.ts'

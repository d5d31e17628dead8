export * from './process.ts'
export * from './plugin-cases.ts'

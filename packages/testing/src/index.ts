export * from './plugin-cases.ts'
export * from './process.ts'

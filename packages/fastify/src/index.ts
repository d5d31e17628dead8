export { type Device, devicesOf, logOutDevice, logOutEverywhere, logOutOthers } from './devices.ts'
export { type LogInOptions, logIn, logOut, renewId, type SessionFields } from './log-in.ts'
export type { SessionsOptions } from './options.ts'
export { sessions, sessions as default } from './plugin.ts'

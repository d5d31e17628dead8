// Its own types are not reached through its `exports`. It is better-sqlite3 with another SQLite inside.
declare module 'better-sqlite3-multiple-ciphers' {
  export { default } from 'better-sqlite3'
}

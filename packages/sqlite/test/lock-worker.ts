// Holds the write lock of the file for as long as the test likes. Told "lock" it prints "locked", told "unlock" "unlocked".
// node lock-worker.ts <file>
import { createInterface } from 'node:readline'
import Database from 'better-sqlite3'

const database = new Database(process.argv[2], { timeout: 5000 })
console.log('ready')
for await (const order of createInterface({ input: process.stdin })) {
  database.exec(order === 'lock' ? 'BEGIN IMMEDIATE' : 'ROLLBACK')
  console.log(`${order}ed`)
}

import { quick } from '../src/subset.ts'
import { testCells } from './cells.ts'

testCells(quick)

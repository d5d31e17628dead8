import { subset } from '../src/subset.ts'
import { testCells } from './cells.ts'

testCells(subset)

import { inspect } from 'node:util'

/** What an option must be. `undefined` always stands for the default, so no rule sees it. */
export interface OptionRule {
  /** Completes the sentence "… must be". */
  wants: string
  isRight(value: unknown): boolean
}

export type OptionRules = Readonly<Record<string, OptionRule>>

/** The rule for a whole number, by default of ms. */
export function wholeNumber(min: number, max = Number.MAX_SAFE_INTEGER, unit = 'ms'): OptionRule {
  return {
    wants: `a whole number of ${unit} from ${min} to ${max}`,
    isRight: (value) => Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max,
  }
}

export function orFalse({ wants, isRight }: OptionRule): OptionRule {
  return { wants: `${wants}, or false`, isRight: (value) => value === false || isRight(value) }
}

export const trueOrFalse: OptionRule = { wants: 'true or false', isRight: (value) => typeof value === 'boolean' }

export function aFunction(wants: string): OptionRule {
  return { wants: `a function ${wants}`, isRight: (value) => typeof value === 'function' }
}

/** An object with these methods. */
export function withMethods(wants: string, ...names: string[]): OptionRule {
  return {
    wants,
    isRight: (value) => names.every((name) => typeof (value as Record<string, unknown> | null)?.[name] === 'function'),
  }
}

/**
 * Checks options against their rules.
 * @param elsewhere what other stores call these options: `{ tableName: 'table' }`
 * @throws TypeError that names the option, what it must be and the kind of what it got, never what that holds: it may be a
 * client with a password
 */
export function checkOptions(
  options: unknown,
  rules: OptionRules,
  elsewhere: Readonly<Record<string, string>> = {},
): void {
  if (typeof options !== 'object' || options === null) throw wrongOption('options', 'an object', options)
  for (const [name, value] of Object.entries(options)) {
    const rule = rules[name]
    if (rule === undefined) throw unknownOption(name, rules, elsewhere)
    if (value !== undefined && !rule.isRight(value)) throw wrongOption(name, rule.wants, value)
  }
}

export function wrongOption(name: string, wants: string, value: unknown): TypeError {
  return new TypeError(`${name} must be ${wants}; got ${kindOf(value)}`)
}

function unknownOption(name: string, rules: OptionRules, elsewhere: Readonly<Record<string, string>>): TypeError {
  const ours = Object.hasOwn(elsewhere, name) ? elsewhere[name] : undefined
  const known = Object.keys(rules).join(', ')
  return new TypeError(`unknown option ${inspect(name)}: ${ours ? `here it is ${ours}` : `there are ${known}`}`)
}

/** Numbers and the like as they are, of all else only the kind. */
function kindOf(value: unknown): string {
  if (value === '') return 'an empty string'
  if (typeof value === 'string' || typeof value === 'function' || typeof value === 'symbol') return `a ${typeof value}`
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' && value !== null ? 'an object' : inspect(value)
}

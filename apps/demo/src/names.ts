/**
 * A user name as it is kept and shown: one way to write each character (NFKC). Undefined where it is no name: of another
 * length than 2 to 32 code points, of other characters, or with something in it that cannot be seen.
 */
export function nameFrom(written: string): string | undefined {
  const name = written.trim().normalize('NFKC')
  const isName = /^[\p{L}\p{N}._-][\p{L}\p{M}\p{N}._-]{1,31}$/u.test(name)
  const isSeen = /[\p{L}\p{N}]/u.test(name) && !/\p{Default_Ignorable_Code_Point}/u.test(name)
  return isName && isSeen ? name : undefined
}

/**
 * Equal for names that are the same but for upper and lower case. Upper case first, since that makes one of letters such as ß
 * and SS, or ς and σ; and NFKC around it, since either may leave characters that could be written another way.
 */
export function nameKey(name: string): string {
  return name.trim().normalize('NFKC').toUpperCase().toLowerCase().normalize('NFKC')
}

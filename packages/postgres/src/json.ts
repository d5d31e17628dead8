/** Half a character outside the basic plane, which UTF-8 cannot hold. */
const LONE_SURROGATE = /[\ud800-\udfff]/u

/**
 * The text as the column of type `json` keeps it, letter by letter: an object as it is, so that SQL can look into it, and
 * any other text (sealed, or made by a serializer of the application's) as a JSON string. Tested here and not by the
 * server, whose log would show the text it refused.
 */
export function toColumn(text: string): string {
  return isObject(text) ? text : JSON.stringify(text)
}

export function fromColumn(json: string): string {
  return json.startsWith('"') ? JSON.parse(json) : json
}

function isObject(text: string): boolean {
  if (!text.startsWith('{') || LONE_SURROGATE.test(text)) return false
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** Half a character outside the basic plane, which UTF-8 cannot hold. */
const LONE_SURROGATE = /[\ud800-\udfff]/u

/** NUL, or what may be such a half, as an escape. Type `json` takes it, and then fails whatever looks into the row. */
const BEYOND_TEXT = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/i

/**
 * The text as the column of type `json` keeps it, letter by letter: an object as it is, so that SQL can look into it, and
 * any other text (sealed, made by a serializer of the application's, or with what SQL cannot hold) as a JSON string. Tested here and not by the
 * server, whose log would show the text it refused.
 */
export function toColumn(text: string): string {
  return isObject(text) ? text : JSON.stringify(text)
}

export function fromColumn(json: string): string {
  return json.startsWith('"') ? JSON.parse(json) : json
}

function isObject(text: string): boolean {
  if (!text.startsWith('{') || LONE_SURROGATE.test(text) || BEYOND_TEXT.test(text)) return false
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

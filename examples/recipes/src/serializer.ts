import type { Serializer } from '@session-stores/core'
import { parse, stringify } from 'devalue'
import { parse as parseJson } from 'secure-json-parse'

/**
 * Keeps dates, maps, sets and BigInts as they are, and still reads what was stored as JSON before: an object there, and a
 * list in devalue's form.
 */
export const richSerializer: Serializer = {
  stringify,
  parse: (text) =>
    text.startsWith('{') ? parseJson(text, { protoAction: 'remove', constructorAction: 'remove' }) : parse(text),
}

/** For the release before: reads both, and writes what its predecessor can read. */
export const cautiousSerializer: Serializer = { stringify: JSON.stringify, parse: richSerializer.parse }

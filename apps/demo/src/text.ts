const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' })

/**
 * What somebody wrote into a text area, without blank space around it and at most `length` long, counted as the browser's
 * `maxlength` does: in UTF-16 units, a line break as one. What is too long ends before the character that no longer fits,
 * however many code points that is made of.
 */
export function textFrom(written: string, length: number): string {
  // Forms are sent with CRLF (HTML, "constructing the entry list"), which a text area turns back into LF
  const text = written.replace(/\r\n?/g, '\n').trim()
  if (text.length <= length) return text
  let end = 0
  for (const { index, segment } of graphemes.segment(text)) {
    if (index + segment.length > length) break
    end = index + segment.length
  }
  return text.slice(0, end).trim()
}

/** A part of a page, and the charts that it shows: file name -> SVG. */
export interface Section {
  text: string
  charts: Record<string, string>
}

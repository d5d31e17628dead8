import { parser } from '@prometheus-io/lezer-promql'

export interface Query {
  /** What it selects: a metric by its name or by a pattern, and the labels that it matches. */
  selectors: Array<{ metric: RegExp; labels: string[] }>
  /** The labels that it groups by. */
  grouping: string[]
}

/** @throws SyntaxError when it is not PromQL */
export function parsePromQl(query: string): Query {
  const found: Query = { selectors: [], grouping: [] }
  const text = (node: { from: number; to: number } | null) => (node === null ? '' : query.slice(node.from, node.to))
  const tree = parser.configure({ strict: true }).parse(query)
  tree.iterate({
    enter: ({ name, node }) => {
      if (name === 'GroupingLabels') found.grouping.push(...node.getChildren('LabelName').map(text))
      if (name !== 'VectorSelector') return
      const matchers = node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? []
      const labels = matchers.map((matcher) => text(matcher.getChild('LabelName')))
      const pattern = matchers[labels.indexOf('__name__')]?.getChild('StringLiteral') ?? null
      const metric = pattern === null ? text(node.getChild('Identifier')) : text(pattern).slice(1, -1)
      found.selectors.push({
        metric: new RegExp(`^(?:${metric})$`),
        labels: labels.filter((label) => label !== '__name__'),
      })
    },
  })
  return found
}

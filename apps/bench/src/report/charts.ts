import { parse, View } from 'vega'
import { compile, type TopLevelSpec } from 'vega-lite'
import type { Role } from '../contestants/contestant.ts'

const colours: Record<Role, string> = { ours: '#0f766e', peer: '#f59e0b', driver: '#cbd5e1', reference: '#94a3b8' }
const names: Record<Role, string> = {
  ours: 'this repository',
  peer: 'other store',
  driver: 'driver alone',
  reference: 'without a server',
}

/** The width of the bars' names. */
const LABELS = 230

export interface Bar {
  label: string
  role: Role
  /** In which row of panels it stands: all in one have the same scale. */
  group: string
  /** The panel's title. */
  panel: string
  value: number
}

/** A row of panels for each group. As SVG, on white. */
export function barChart(bars: Bar[], { title, unit }: { title: string; unit: string }): Promise<string> {
  const panels = unique(bars, 'panel')
  const roles = (Object.keys(names) as Role[]).filter((role) => bars.some((bar) => bar.role === role))
  return render({
    title: { text: title, subtitle: unit, anchor: 'start', offset: 12 },
    vconcat: unique(bars, 'group').map((group) => {
      const own = bars.filter((bar) => bar.group === group)
      return { hconcat: panels.map((name, column) => panel(name, own, roles, column === 0)) }
    }),
  })
}

/** @param labelled whether the names of the bars stand beside it */
function panel(name: string, group: Bar[], roles: Role[], labelled: boolean) {
  // Of one width, so that the panels stand in columns.
  const labels = labelled
    ? { minExtent: LABELS, maxExtent: LABELS, labelLimit: LABELS }
    : { labels: false, ticks: false }
  return {
    title: { text: name, fontSize: 11 },
    width: 280,
    height: { step: 17 },
    data: { values: group.filter((bar) => bar.panel === name).map((bar) => ({ ...bar, who: names[bar.role] })) },
    encoding: {
      y: { field: 'label', type: 'nominal' as const, sort: unique(group, 'label'), axis: { title: null, ...labels } },
      x: {
        field: 'value',
        type: 'quantitative' as const,
        scale: { domain: [0, 1.1 * Math.max(...group.map(({ value }) => value))] },
        axis: { title: null, tickCount: 5 },
      },
    },
    layer: [
      {
        mark: { type: 'bar' as const, height: 12 },
        encoding: {
          color: {
            field: 'who',
            scale: { domain: roles.map((role) => names[role]), range: roles.map((role) => colours[role]) },
            legend: { title: null, orient: 'top' as const },
          },
        },
      },
      {
        mark: { type: 'text' as const, align: 'left' as const, dx: 4, fontSize: 10 },
        encoding: { text: { field: 'value', format: '.3~r' } },
      },
    ],
  }
}

export interface Point {
  label: string
  sessions: number
  value: number
}

/** A line for each label, over the number of sessions. As SVG, on white. */
export function lineChart(points: Point[], { title, unit }: { title: string; unit: string }): Promise<string> {
  return render({
    title: { text: title, anchor: 'start', offset: 12 },
    data: { values: points },
    width: 520,
    height: 260,
    mark: { type: 'line', point: true },
    encoding: {
      x: {
        field: 'sessions',
        type: 'quantitative',
        scale: { type: 'log' },
        axis: { title: 'stored sessions', format: '~s', tickCount: 4 },
      },
      y: { field: 'value', type: 'quantitative', scale: { type: 'log' }, axis: { title: unit, format: '~s' } },
      color: {
        field: 'label',
        type: 'nominal',
        legend: { title: null, labelLimit: LABELS },
        sort: unique(points, 'label'),
      },
    },
  })
}

function render(spec: TopLevelSpec): Promise<string> {
  const { spec: compiled } = compile({ ...spec, background: 'white', padding: 12 })
  return new View(parse(compiled), { renderer: 'none' }).toSVG()
}

/** In order of appearance. */
function unique<T, K extends keyof T>(list: T[], key: K): Array<T[K]> {
  return [...new Set(list.map((each) => each[key]))]
}

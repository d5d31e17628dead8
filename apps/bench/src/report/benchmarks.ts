import type { Level } from '../options.ts'
import type { Results, Setting } from '../results.ts'
import { featuresSection } from './features.ts'
import { operationsSection } from './operations.ts'
import { requestsSection } from './requests.ts'
import { scaleSection } from './scale.ts'
import type { Section } from './section.ts'
import { summarySection } from './summary.ts'
import { trafficSection } from './traffic.ts'

/** The page and its charts: path -> text. */
export async function benchmarksPage(results: Results): Promise<Record<string, string>> {
  const { requests, operations, traffic, scale, features } = results
  const sections: Section[] = [
    requests ? await requestsSection(requests.found) : notMeasured('Requests', 'requests'),
    operations ? await operationsSection(operations.found) : notMeasured('Operations', 'operations'),
    traffic ? trafficSection(traffic.found) : notMeasured('What the server is asked', 'traffic'),
    scale ? await scaleSection(scale.found) : notMeasured('Scale', 'scale'),
    features ? featuresSection(features.found) : notMeasured('What features cost', 'features'),
  ]
  const charts = sections.flatMap((section) => Object.entries(section.charts))
  const text = [intro, summarySection(results), ...sections.map((section) => section.text), settings(results), repeat]
  return {
    'benchmarks.md': `${text.filter((part) => part !== '').join('\n\n')}\n`,
    ...Object.fromEntries(charts.map(([name, svg]) => [`benchmarks/${name}`, svg])),
  }
}

/** The heading stays: pages link to it. */
function notMeasured(title: string, level: Level): Section {
  return { text: `## ${title}\n\nNot measured yet: \`npm run bench -- --only ${level}\`.`, charts: {} }
}

const intro = `# Benchmarks

The stores of this repository beside other stores, the drivers they use and what the plugin brings itself, measured in one run on one
machine. Written by \`npm run bench\`, from [results.json](benchmarks/results.json).

Only ratios count. Each store has a process of its own; all take turns in each round, and what is shown is the median of the
rounds. Within about 10 % take two figures as equal. What each store does right and wrong is in [the comparison](comparison.md).`

const repeat = `## Repeat it

\`\`\`sh
npm run bench                              # all of it, in about an hour and a half
npm run bench -- --quick                   # within two minutes, with figures that are worth little
npm run bench -- --only requests           # one level: operations, requests, traffic, scale, features or correctness
npm run bench -- --only redis              # one kind of store, or a part of a store's name
npm run bench -- --build ../other-checkout # beside the stores as they are built there
\`\`\`

It starts its own servers, and needs redis-server, memcached and postgres; as root on Debian or Ubuntu it installs them. A run of
whole levels writes this page; others write to \`.cache/bench\`. Leave the machine alone meanwhile.`

function settings(results: Results): string {
  const all = [results.requests, results.operations, results.traffic, results.scale, results.features]
  const texts = all.flatMap((each) => (each ? [settingText(each.setting)] : []))
  return texts.length > 0 ? `## Machine and versions\n\n${[...new Set(texts)].join('\n\n')}` : ''
}

export function settingText(setting: Setting): string {
  const { date, commit, machine, system, node, servers, packages, leftOut } = setting
  const lines = [
    `${date}${commit && `, commit ${commit}`}: ${machine}; ${system}; Node ${node}; ${servers.join(', ')}.`,
    `${packages.join(', ')}.`,
    ...leftOut.map((each) => `Left out: ${each}.`),
  ]
  return lines.join('\n')
}

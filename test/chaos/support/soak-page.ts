/** The page of a soak: what a parent and its child took while they worked, second by second. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { renderReport } from '../../../keda/report/render-report.ts';
import type { ReportSeries } from '../../../keda/report/report.ts';
import { countLabel, spanLabel } from '../../../keda/report/scale.ts';
import { machineText } from '../../support/machine.ts';
import type { ScenarioOutcome, Stage } from './scenario.ts';

export const SOAK_SERIES = {
  parentMemory: 'Resident memory of the parent',
  childMemory: 'Resident memory of the child',
  parentHandles: 'Open files of the parent',
  childHandles: 'Open files of the child',
  parentLive: 'Live memory of the parent, after a collection',
  childLive: 'Live memory of the child, after a collection',
} as const;

export type SoakPoint = [seconds: number, value: number];
/** Memory in MiB. */
export type SoakSamples = Record<keyof typeof SOAK_SERIES, SoakPoint[]>;

const PANELS = [
  {
    title: 'Resident memory',
    unit: 'MiB',
    parent: 'parentMemory',
    child: 'childMemory',
    note: 'It rises until V8 finds a collection worth while.',
  },
  {
    title: 'Live memory',
    unit: 'MiB',
    parent: 'parentLive',
    child: 'childLive',
    note: 'What a forced collection leaves.',
  },
  { title: 'Open files', unit: 'files', parent: 'parentHandles', child: 'childHandles' },
] as const;
const FOLDER = 'darkroom-results';

/** @returns the file */
export async function writeSoakPage(
  samples: SoakSamples,
  outcome: ScenarioOutcome,
  { node, profile, seed }: Pick<Stage, 'node' | 'profile' | 'seed'>,
): Promise<string> {
  const { submitted, results, lost, notes, faults } = outcome;
  const seconds = Math.round(samples.parentMemory.at(-1)?.[0] ?? 0);
  const page = renderReport({
    title: `Soak: ${countLabel(results)} tasks in ${spanLabel(seconds * 1_000)}`,
    subtitle: `RabbitMQ ${node.version} · ${machineText()} · ${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC`,
    figures: [
      ...PANELS.map(({ title, unit, parent, child }) => ({
        label: title,
        value: `${highest(samples[parent])} and ${highest(samples[child])} ${unit}`,
        detail: 'parent and child, at most',
      })),
      {
        label: 'Lost',
        value: String(lost),
        detail: `of ${countLabel(submitted)}`,
        verdict: lost === 0 ? 'good' : 'bad',
      },
    ],
    findings: [...faults.map((fault) => `FAILED: ${fault}`), ...notes],
    panels: PANELS.map(({ parent, child, ...about }) => ({
      ...about,
      series: [line('parent', 'blue', samples[parent]), line('child', 'amber', samples[child])],
    })),
    tables: [],
    command: `npm run chaos -- --only soak --profile ${profile} --seed ${seed}`,
  });
  const file = join(FOLDER, `soak-${node.version}.html`);
  await mkdir(FOLDER, { recursive: true });
  await writeFile(file, page);
  return file;
}

function highest(points: SoakPoint[]): string {
  return Math.max(...points.map(([, value]) => value)).toFixed(0);
}

function line(name: string, color: ReportSeries['color'], points: SoakPoint[]): ReportSeries {
  const timesMs = points.map(([seconds]) => seconds * 1_000);
  return { name, color, timesMs, values: points.map(([, value]) => value) };
}

/** The page of a soak: what a parent and its child took while they worked, second by second. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { renderReport } from '../../../keda/report/render-report.ts';
import type { ReportPanel, ReportSeries } from '../../../keda/report/report.ts';
import { spanLabel } from '../../../keda/report/scale.ts';
import { machine, passed } from './report.ts';
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

const FOLDER = 'darkroom-results';

/** @returns the file */
export async function writeSoakPage(
  samples: SoakSamples,
  outcome: ScenarioOutcome,
  { node, profile, seed }: Pick<Stage, 'node' | 'profile' | 'seed'>,
): Promise<string> {
  const { results, notes, faults } = outcome;
  const seconds = Math.round(samples.parentMemory.at(-1)?.[0] ?? 0);
  const mostMib = (points: SoakPoint[]) => `${Math.max(...points.map(([, value]) => value)).toFixed(0)} MiB`;
  const page = renderReport({
    title: `Soak: ${results.toLocaleString('en')} tasks in ${spanLabel(seconds * 1_000)}`,
    subtitle: `RabbitMQ ${node.version} · ${machine()} · ${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC`,
    figures: [
      { label: 'Resident memory, parent', value: mostMib(samples.parentMemory), detail: 'at most' },
      { label: 'Resident memory, child', value: mostMib(samples.childMemory), detail: 'at most' },
      { label: 'Live memory, parent', value: mostMib(samples.parentLive), detail: 'at most' },
      { label: 'Live memory, child', value: mostMib(samples.childLive), detail: 'at most' },
      {
        label: 'Lost',
        value: String(outcome.lost),
        detail: `of ${outcome.submitted.toLocaleString('en')}`,
        verdict: passed(outcome) ? 'good' : 'bad',
      },
    ],
    findings: [...faults.map((fault) => `FAILED: ${fault}`), ...notes],
    panels: panels(samples),
    tables: [],
    command: `npm run chaos -- --only soak --profile ${profile} --seed ${seed}`,
  });
  const file = join(FOLDER, `soak-${node.version}.html`);
  await mkdir(FOLDER, { recursive: true });
  await writeFile(file, page);
  return file;
}

function panels(samples: SoakSamples): ReportPanel[] {
  return [
    {
      title: 'Resident memory',
      unit: 'MiB',
      series: [parent(samples.parentMemory), child(samples.childMemory)],
      note: 'It rises until V8 finds a collection worth while.',
    },
    {
      title: 'Live memory',
      unit: 'MiB',
      series: [parent(samples.parentLive), child(samples.childLive)],
      note: 'What a forced collection leaves.',
    },
    {
      title: 'Open files',
      unit: 'files',
      series: [parent(samples.parentHandles), child(samples.childHandles)],
    },
  ];
}

function parent(points: SoakPoint[]): ReportSeries {
  return { name: 'parent', color: 'blue', ...columns(points) };
}

function child(points: SoakPoint[]): ReportSeries {
  return { name: 'child', color: 'amber', ...columns(points) };
}

function columns(points: SoakPoint[]): Pick<ReportSeries, 'timesMs' | 'values'> {
  return {
    timesMs: points.map(([seconds]) => seconds * 1_000),
    values: points.map(([, value]) => value),
  };
}

/** What came out of the demo, task by task. */
import { basename } from 'node:path';
import type { StepRecord } from '../task/hop.ts';
import { humanDuration, humanSize } from '../units.ts';
import type { TaskOutcome } from './end-watch.ts';
import { resultOf } from './task-result.ts';
import { dim, escapeControls, print, printTable } from './terminal.ts';

export function printDemoReport(outcomes: TaskOutcome[], storageFolder: string): void {
  printTable(['Photo', 'Steps', 'In queue', 'Working', 'Before', 'After', 'Result'], outcomes.map(rowOf));
  for (const { id, outcome, data } of outcomes)
    if (outcome !== 'completed') print(`${id} ${outcome}: ${escapeControls(String(data.failure_reason))}`);
  print(dim(`in ${storageFolder}`));
}

/** The steps that a task has done, as its final event says. */
export function stepsDone({ data }: TaskOutcome): StepRecord[] {
  return Array.isArray(data.steps) ? (data.steps as StepRecord[]) : [];
}

function rowOf(task: TaskOutcome): string[] {
  const steps = stepsDone(task);
  const result = resultOf(task);
  return [
    basename(task.photo),
    steps.map(({ filter }) => filter).join(' → '),
    humanDuration(steps.reduce((sum, { queue_ms }) => sum + (queue_ms ?? 0), 0)),
    humanDuration(steps.reduce((sum, { work_ms }) => sum + work_ms, 0)),
    task.bytes === null ? '' : humanSize(task.bytes),
    result === undefined ? '' : humanSize(result.bytes),
    task.outcome === 'completed' ? (result?.format ?? '') : task.outcome,
  ];
}

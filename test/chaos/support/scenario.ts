/** What a scenario is given and what it answers with. */
import type { RabbitNode } from '../../../runtime/cli/local-broker/start-rabbitmq.ts';
import type { RabbitVersion } from '../../support/rabbit.ts';
import type { Random } from './random.ts';

export type ChaosProfile = 'short' | 'full';

/** The columns of the summary. */
export interface Figures {
  /** Tasks or messages given in, by the ledger. */
  submitted: number;
  /** Of these, ended with a result whose bytes are right. */
  results: number;
  /** Of these, ended as a dead letter. */
  deadLetters: number;
  /** Final events and dead letters that came more than once: harmless, but counted. */
  duplicates: number;
  /** Without any outcome. */
  lost: number;
  /** With an outcome that nothing in the scenario explains. */
  unexplained: number;
  /** Results whose bytes are not the expected ones. */
  wrong: number;
  /** Processes, brokers or connections that were ended on purpose. */
  kills: number;
}

export interface ScenarioOutcome extends Figures {
  /** What was measured beside the figures, in words. */
  notes: string[];
  /** What did not hold; empty when the scenario has passed. */
  faults: string[];
}

export interface Stage {
  profile: ChaosProfile;
  /** The scenario's own stream: `--only` does not change what a scenario does. */
  random: Random;
  seed: number;
  /** Of each worker. */
  slots: number;
  version: RabbitVersion;
  /** The broker that most scenarios share. Whoever stops it starts it again. */
  node: RabbitNode;
  /** Progress, on standard error. */
  say(text: string): void;
  /** The profile's choice. */
  choose<T>(short: T, full: T): T;
}

export interface Scenario {
  name: string;
  /** What it shows, in one line. */
  shows: string;
  /** False: it is the same with every broker, and runs once. Default: true. */
  needsBroker?: boolean;
  run(stage: Stage): Promise<ScenarioOutcome>;
}

export function noFigures(): Figures {
  return {
    submitted: 0,
    results: 0,
    deadLetters: 0,
    duplicates: 0,
    lost: 0,
    unexplained: 0,
    wrong: 0,
    kills: 0,
  };
}

/** Several parts of one scenario, added up. */
export function addOutcomes(outcomes: ScenarioOutcome[]): ScenarioOutcome {
  const sum: ScenarioOutcome = { ...noFigures(), notes: [], faults: [] };
  for (const outcome of outcomes) {
    for (const key of Object.keys(noFigures()) as (keyof Figures)[]) sum[key] += outcome[key];
    sum.notes.push(...outcome.notes);
    sum.faults.push(...outcome.faults);
  }
  return sum;
}

/** Where the workers are: on this machine, wherever AMQP_URL leads, or on a cluster. */
import type { ScalingSettings } from '../../keda/model.ts';
import type { Installation } from '../support/installation.ts';

export const TARGETS = ['local', 'broker', 'cluster'] as const;
export type TargetKind = (typeof TARGETS)[number];

/** Of one filter: how many workers are asked for, and how many exist, those that drain left out. */
export interface Replicas {
  wanted: number;
  running: number;
}

/** Something that changed or went wrong, as whoever scales tells it. */
export interface Remark {
  /** Milliseconds since 1970. */
  atMs: number;
  text: string;
}

export interface Target extends AsyncDisposable {
  kind: TargetKind;
  /** In words, for the report. */
  about: string;
  /** Broker and storage. */
  installation: Installation;
  /** Scaling decisions run so many times faster than on a cluster; 1 where nobody hurries them. */
  speed: number;
  /** How long scaling waits between two looks at the clock, beside its intervals; milliseconds. */
  loopMs: number;
  /** What the workers of a filter are scaled by; undefined where that is not known. */
  settings(filter: string): ScalingSettings | undefined;
  /** By filter; undefined where nobody can say. */
  replicas(): Promise<Map<string, Replicas> | undefined>;
  remarks: readonly Remark[];
}

/** On this machine unless a broker was named: then its workers are someone else's. */
export function kindOf(asked: TargetKind | undefined, env: NodeJS.ProcessEnv): TargetKind {
  return asked ?? (env.AMQP_URL ? 'broker' : 'local');
}

/** Searches for the settings that meet a target wait with the fewest pod-hours. */
import { DEFAULT_RULES, type ScalingRules, type ScalingSettings } from './model.ts';
import type { Load } from './simulator/load.ts';
import { stretches } from './simulator/sharing.ts';
import { SIMULATION_DEFAULTS, type Simulation, type SimulationOptions, simulate } from './simulator.ts';

export interface SuggestOptions extends SimulationOptions {
  /** 95 % of the messages should begin within this time. */
  targetWaitP95Ms: number;
  /** The same kind of load on other days: settings have to hold under these, too. */
  otherLoads?: Load[] | undefined;
  /** Called before each try; `expected` is how many there will be, roughly. */
  onRun?: (done: number, expected: number, about: string) => void;
}

export interface Candidate extends Simulation {
  settings: ScalingSettings;
}

export interface Suggestion {
  targetWaitP95Ms: number;
  /** The settings as they are. */
  current: Candidate;
  /** The cheapest that meets the target; null when none does. */
  best: Candidate | null;
  /** The fastest that was tried, for when the target cannot be met. */
  fastest: Candidate;
  /** For each messagesPerReplica that meets the target, its cheapest form; fewest pod-hours first. */
  alternatives: Candidate[];
  /** Settings that were tried. */
  runs: number;
}

/** Settings have to meet this share of the target, since another day has other messages. */
const MARGIN = 0.9;
const MESSAGES_PER_SLOT = [1, 2, 3, 5, 8, 12, 20];
/** Slowest first: fewer polls are less load on the broker. */
const POLLING_INTERVALS_MS = [60_000, 30_000, 15_000, 10_000, 5_000, 2_000];
const EAGER_POLLING_MS = 2_000;
const MOST_REPLICAS = 1_000;

/** Pure but slow: about fifty settings are tried. */
export function suggest(options: SuggestOptions): Suggestion {
  const { settings } = options;
  const ceiling = usefulReplicas(options);
  const search = new Search(options);
  const choices = MESSAGES_PER_SLOT.map((messages) => messages * settings.slots);
  let alternatives: Candidate[] = [];
  for (const variant of variants(settings, ceiling)) {
    if (alternatives.length > 0) break;
    search.expect(choices.length * Math.ceil(1 + Math.log2(ceiling)) + POLLING_INTERVALS_MS.length + 1);
    alternatives = choices.flatMap(
      (messagesPerReplica) => search.fewestReplicas({ ...variant, messagesPerReplica }, ceiling) ?? [],
    );
  }
  alternatives.sort(byCostThenSimilarity(settings));
  const cheapest = alternatives[0];
  const last = variants(settings, ceiling).at(-1) ?? settings;
  const quickest = { ...last, messagesPerReplica: settings.slots, maxReplicas: ceiling };
  return {
    targetWaitP95Ms: options.targetWaitP95Ms,
    current: search.candidate(settings),
    best: cheapest === undefined ? null : tidied(search.slowestPolling(cheapest)),
    fastest: cheapest ?? search.candidate(quickest),
    alternatives,
    runs: search.runs,
  };
}

/** Fewest pod-hours first, in steps of a hundredth; among equals the nearest to what is set now. */
function byCostThenSimilarity({
  messagesPerReplica,
}: ScalingSettings): (a: Candidate, b: Candidate) => number {
  const cost = ({ summary }: Candidate) => Math.round(Math.log(Math.max(summary.podHours, 1e-6)) * 100);
  const distance = (candidate: Candidate) =>
    Math.abs(Math.log(candidate.settings.messagesPerReplica / messagesPerReplica));
  return (a, b) => cost(a) - cost(b) || distance(a) - distance(b);
}

/** From the least change to the greatest: as it is, polled more often, and grown at once to what is needed. */
function variants(settings: ScalingSettings, ceiling: number): ScalingSettings[] {
  const pollingIntervalMs = Math.min(settings.pollingIntervalMs, EAGER_POLLING_MS);
  const atOnce: ScalingRules = {
    stabilizationWindowMs: 0,
    selectPolicy: 'Max',
    policies: [{ type: 'Pods', value: ceiling, periodMs: 15_000 }],
  };
  const scaleDown = settings.behavior?.scaleDown ?? DEFAULT_RULES.scaleDown;
  const eager = { ...settings, pollingIntervalMs };
  return [settings, eager, { ...eager, behavior: { scaleUp: atOnce, scaleDown } }];
}

/** A scale-up policy wider than maxReplicas says no more than one as wide. */
function tidied(candidate: Candidate): Candidate {
  const { behavior, maxReplicas } = candidate.settings;
  if (behavior === null) return candidate;
  const policies = behavior.scaleUp.policies.map((policy) =>
    policy.type === 'Pods' ? { ...policy, value: Math.min(policy.value, maxReplicas) } : policy,
  );
  const scaleUp = { ...behavior.scaleUp, policies };
  return { ...candidate, settings: { ...candidate.settings, behavior: { ...behavior, scaleUp } } };
}

/** Replicas beyond which more cannot help: the busiest stretch as long as the target, done at once. */
function usefulReplicas({ load, service, settings, targetWaitP95Ms, ...options }: SuggestOptions): number {
  const windowMs = Math.max(1_000, targetWaitP95Ms);
  const { slots } = settings;
  const meanMs = service.meanMs * (stretches({ ...SIMULATION_DEFAULTS, ...options }, slots)[slots] as number);
  const concurrent = (busiest(load, windowMs) * meanMs) / (windowMs * slots);
  return Math.min(
    MOST_REPLICAS,
    Math.max(settings.maxReplicas, settings.minReplicas, Math.ceil(concurrent * 2) + 4),
  );
}

/** The most messages that arrive within any stretch of this length. */
function busiest({ arrivalsMs }: Load, windowMs: number): number {
  let first = 0;
  let most = 0;
  for (let last = 0; last < arrivalsMs.length; last++) {
    while ((arrivalsMs[last] as number) - (arrivalsMs[first] as number) > windowMs) first++;
    most = Math.max(most, last - first + 1);
  }
  return most;
}

class Search {
  readonly #options: SuggestOptions;
  runs = 0;
  #expected = 0;

  constructor(options: SuggestOptions) {
    this.#options = options;
  }

  /** At most so many runs follow; only for showing progress. */
  expect(further: number): void {
    this.#expected = this.runs + further;
  }

  candidate(settings: ScalingSettings): Candidate {
    this.#count(settings);
    return this.#simulate(settings, this.#options.load);
  }

  /** Bisects maxReplicas, taking for granted that more replicas never make the wait longer. */
  fewestReplicas(settings: ScalingSettings, ceiling: number): Candidate | null {
    let best = this.#meeting({ ...settings, maxReplicas: ceiling });
    if (best === null) return null;
    let low = Math.max(1, settings.minReplicas);
    let high = ceiling;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const candidate = this.#meeting({ ...settings, maxReplicas: middle });
      if (candidate === null) low = middle + 1;
      else {
        best = candidate;
        high = middle;
      }
    }
    return best;
  }

  /** The longest polling interval that still meets the target without costing more. */
  slowestPolling(cheapest: Candidate): Candidate {
    const slower = POLLING_INTERVALS_MS.filter((ms) => ms > cheapest.settings.pollingIntervalMs);
    for (const pollingIntervalMs of slower) {
      const candidate = this.#meeting({ ...cheapest.settings, pollingIntervalMs });
      if (candidate !== null && candidate.summary.podHours <= cheapest.summary.podHours * 1.01)
        return candidate;
    }
    return cheapest;
  }

  /** The run under the load itself, if that and every other one meet the target. */
  #meeting(settings: ScalingSettings): Candidate | null {
    this.#count(settings);
    const candidate = this.#simulate(settings, this.#options.load, { mayGiveUp: true });
    if (!this.#meets(candidate)) return null;
    const others = this.#options.otherLoads ?? [];
    const all = others.every((load, index) =>
      this.#meets(this.#simulate(settings, load, { other: index + 1, mayGiveUp: true })),
    );
    return all ? candidate : null;
  }

  #meets({ run, summary }: Simulation): boolean {
    return (
      !run.gaveUp && summary.stranded === 0 && summary.waitMs.p95 <= this.#options.targetWaitP95Ms * MARGIN
    );
  }

  /** A lucky first poll must not decide: the load itself begins at the worst moment, other loads at a random one. */
  #simulate(settings: ScalingSettings, load: Load, { other = 0, mayGiveUp = false } = {}): Candidate {
    const { targetWaitP95Ms, seed = SIMULATION_DEFAULTS.seed } = this.#options;
    const late = { waitMs: targetWaitP95Ms * MARGIN, messages: Math.floor(load.arrivalsMs.length * 0.05) };
    const result = simulate({
      ...this.#options,
      settings,
      load,
      seed: seed + other,
      phase: other === 0 ? 'worst' : 'random',
      ...(mayGiveUp && { giveUp: late }),
    });
    return { ...result, settings };
  }

  #count({ messagesPerReplica, maxReplicas }: ScalingSettings): void {
    this.runs++;
    const about = `${messagesPerReplica} a replica, at most ${maxReplicas}`;
    this.#options.onRun?.(this.runs, Math.max(this.runs, this.#expected), about);
  }
}

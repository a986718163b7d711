/** The event loop of one simulated queue: arrivals, workers, outages, and the scaling model that watches them. */
import { nextDueMs, type ScalingState, step } from '../model.ts';
import { randomStream } from '../random.ts';
import { EventHeap } from './event-heap.ts';
import { Fleet, type Pod } from './fleet.ts';
import { Outages } from './outages.ts';
import { firstRun, firstState, type RunFigures } from './run-start.ts';
import { type QueueLevel, SeriesRecorder } from './series.ts';
import { serviceTimes } from './service.ts';
import { stretches } from './sharing.ts';
import type { Run, SimulationInput } from './types.ts';

/** After the last arrival and the last outage, this long is allowed for draining and scaling in. */
const LONGEST_TAIL_MS = 7 * 86_400_000;

type PodEvent = { pod: Pod; kind: 'ready' | 'done' | 'deadline'; atMs: number };

/** Runs until all tasks are done and the replicas are back at the minimum. Pure: same input, same run. */
export function runSimulation(input: SimulationInput): Run {
  return new Simulation(input).run();
}

class Simulation {
  readonly #input: SimulationInput;
  readonly #fleet: Fleet;
  readonly #events = new EventHeap<PodEvent>();
  readonly #serviceTime: () => number;
  readonly #recorder = new SeriesRecorder();
  readonly #run: RunFigures;
  /** Messages that came back; they are delivered before the others. */
  readonly #returned: number[] = [];
  readonly #outages: Outages;
  #scaling: ScalingState;
  #nowMs = 0;
  #arrived = 0;
  /** Index of the first message that was never taken. */
  #head = 0;
  #late = 0;
  #seen = { atMs: 0, ready: 0, unacked: 0 };

  constructor(input: SimulationInput) {
    const { seed, settings } = input;
    this.#input = input;
    this.#serviceTime = serviceTimes(input.service, randomStream(seed, 2));
    this.#fleet = new Fleet({
      slots: settings.slots,
      stretch: stretches(input, settings.slots),
      preferIdle: input.deletionCost,
      random: randomStream(seed, 3),
    });
    this.#outages = new Outages(input.outages);
    this.#scaling = firstState(input);
    this.#run = firstRun(input);
    for (let i = 0; i < input.initialReplicas; i++) this.#fleet.open(this.#fleet.add());
  }

  run(): Run {
    const last = Math.max(this.#input.load.durationMs, this.#outages.lastMs);
    while (!this.#run.gaveUp && this.#nowMs <= last + LONGEST_TAIL_MS && !this.#isOver()) {
      const nextMs = this.#nextMs();
      this.#passTo(nextMs);
      if (nextMs === this.#outages.nextMs) this.#onOutageEdge();
      else if (nextMs === this.#nextArrivalMs()) this.#onArrival();
      else if (nextMs === this.#events.nextMs) this.#onPodEvent();
      else this.#onScaler();
    }
    return { ...this.#run, endMs: this.#nowMs, series: this.#recorder.finish(this.#level()) };
  }

  #nextMs(): number {
    const { nextMs: nextPodMs } = this.#events;
    return Math.min(this.#outages.nextMs, this.#nextArrivalMs(), nextPodMs, nextDueMs(this.#scaling));
  }

  #nextArrivalMs(): number {
    const { arrivalsMs } = this.#input.load;
    return this.#arrived < arrivalsMs.length
      ? (arrivalsMs[this.#arrived] as number)
      : Number.POSITIVE_INFINITY;
  }

  get #depth(): number {
    return this.#arrived - this.#head + this.#returned.length;
  }

  /** Time passes; the broker's counts are renewed at its ticks on the way. */
  #passTo(nowMs: number): void {
    const { statsIntervalMs } = this.#input;
    const fleet = this.#fleet;
    const depth = this.#depth;
    if (statsIntervalMs > 0) {
      const tickMs = Math.floor(nowMs / statsIntervalMs) * statsIntervalMs;
      // What happens exactly at a tick is counted at the next one.
      if (tickMs > this.#seen.atMs) this.#seen = { atMs: tickMs, ready: depth, unacked: fleet.busy };
    }
    const elapsedMs = nowMs - this.#nowMs;
    this.#run.podMs += fleet.size * elapsedMs;
    this.#run.busyMs += fleet.busy * elapsedMs;
    if (depth > this.#run.maxDepth) this.#run.maxDepth = depth;
    this.#recorder.advance(nowMs, this.#level());
    this.#nowMs = nowMs;
  }

  #level(): QueueLevel {
    const { size: pods, busy } = this.#fleet;
    return { replicas: this.#scaling.replicas, pods, busy, depth: this.#depth };
  }

  #onArrival(): void {
    this.#arrived++;
    this.#recorder.countArrival();
    this.#deliver();
  }

  /** Hands waiting messages to free slots, one each: prefetch 1. */
  #deliver(): void {
    if (this.#outages.isOut(this.#nowMs, 'broker')) return;
    while (this.#depth > 0) {
      const pod = this.#fleet.takeIdle();
      if (pod === undefined) return;
      this.#begin(pod, this.#returned.pop() ?? this.#head++);
    }
  }

  #begin(pod: Pod, message: number): void {
    const arrivedMs = this.#input.load.arrivalsMs[message] as number;
    const waitMs = this.#nowMs - arrivedMs;
    this.#run.waitsMs[message] = waitMs;
    const { giveUp } = this.#input;
    if (giveUp !== undefined && waitMs > giveUp.waitMs) this.#run.gaveUp = ++this.#late > giveUp.messages;
    this.#fleet.work(pod, { message, leftMs: this.#serviceTime() }, this.#nowMs);
    this.#awaitNext(pod);
  }

  /** The pod's next task to be done; what was planned before is out of date by then. */
  #awaitNext(pod: Pod): void {
    const { doneMs } = pod;
    if (doneMs < Number.POSITIVE_INFINITY) this.#events.push(doneMs, { pod, kind: 'done', atMs: doneMs });
  }

  #onPodEvent(): void {
    const event = this.#events.pop();
    if (event === undefined) return;
    const { pod, kind, atMs } = event;
    if (kind === 'ready' && pod.state === 'starting') this.#fleet.open(pod);
    else if (kind === 'done' && pod.state === 'up' && pod.doneMs === atMs) this.#complete(pod);
    else if (kind === 'deadline' && pod.state === 'up' && pod.deadlineMs === atMs) this.#giveBack(pod);
    this.#deliver();
  }

  #complete(pod: Pod): void {
    const { message } = this.#fleet.finish(pod, this.#nowMs);
    this.#run.latenciesMs[message] = this.#nowMs - (this.#input.load.arrivalsMs[message] as number);
    this.#run.completed++;
    this.#run.drainedMs = this.#nowMs;
    this.#recorder.countCompletion();
    this.#awaitNext(pod);
    if (pod.draining && pod.tasks.length === 0) this.#fleet.remove(pod);
  }

  #giveBack(pod: Pod): void {
    for (const { message } of this.#fleet.giveBack(pod)) {
      this.#returned.push(message);
      this.#run.returned++;
    }
    if (pod.draining) this.#fleet.remove(pod);
  }

  #onOutageEdge(): void {
    this.#outages.passEdge();
    if (this.#outages.isOut(this.#nowMs, 'broker'))
      for (const pod of this.#fleet.working) this.#giveBack(pod);
    this.#deliver();
  }

  #onScaler(): void {
    const before = this.#scaling.replicas;
    const live = this.#input.statsIntervalMs === 0;
    const seen = live ? { ready: this.#depth, unacked: this.#fleet.busy } : this.#seen;
    const asksQueue = this.#input.settings.wakeUp === 'amqp';
    const { state, replicas, reasons } = step(
      this.#scaling,
      {
        nowMs: this.#nowMs,
        ready: asksQueue ? Math.max(seen.ready, this.#depth) : seen.ready,
        unacked: seen.unacked,
        error: this.#outages.isOut(this.#nowMs) ? 'outage' : undefined,
        unreachable: this.#outages.isOut(this.#nowMs, 'broker'),
      },
      this.#input.settings,
    );
    this.#scaling = state;
    if (replicas === before) return;
    const reason = reasons.map(({ by, text }) => `${by}: ${text}`).join('; ');
    this.#run.changes.push({ atMs: this.#nowMs, from: before, to: replicas, reason });
    this.#run.maxReplicas = Math.max(this.#run.maxReplicas, replicas);
    this.#resize(replicas);
  }

  #resize(replicas: number): void {
    const staying = this.#fleet.staying.length;
    for (let i = staying; i < replicas; i++) {
      const atMs = this.#nowMs + this.#input.podStartMs;
      this.#events.push(atMs, { pod: this.#fleet.add(), kind: 'ready', atMs });
    }
    if (replicas >= staying) return;
    for (const pod of this.#fleet.victims(staying - replicas)) this.#drain(pod);
  }

  #drain(pod: Pod): void {
    if (pod.tasks.length === 0) {
      this.#fleet.remove(pod);
      return;
    }
    this.#run.busyPodsHit++;
    pod.draining = true;
    pod.deadlineMs = this.#nowMs + this.#input.drainMs;
    this.#events.push(pod.deadlineMs, { pod, kind: 'deadline', atMs: pod.deadlineMs });
  }

  /** All work is done and the replicas are at the minimum; or at zero, with too few messages left to wake a worker. */
  #isOver(): boolean {
    const { settings, load, statsIntervalMs } = this.#input;
    if (this.#arrived < load.arrivalsMs.length || this.#fleet.size > settings.minReplicas) return false;
    if (this.#outages.nextMs !== Number.POSITIVE_INFINITY) return false;
    const open = this.#arrived - this.#run.completed;
    const atRest = this.#scaling.replicas === settings.minReplicas;
    if (!atRest || open > settings.activationMessages) return false;
    if (open === 0) this.#run.restedMs = this.#run.changes.at(-1)?.atMs ?? 0;
    return open === 0 || (settings.minReplicas === 0 && this.#nowMs > load.durationMs + statsIntervalMs);
  }
}

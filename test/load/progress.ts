/** Shows how a run goes: a live line on a terminal, a line every two seconds elsewhere. */
import { timeLabel } from '../../keda/report/scale.ts';
import { bold, dim, LiveView, note } from '../../runtime/cli/terminal.ts';
import type { Sample } from './recorder.ts';

/** Over which the shown throughput is meant. */
const RATE_SAMPLES = 5;
const SPARK = '▁▂▃▄▅▆▇█';
const SPARK_CHARACTERS = 30;
const TIME_CHARACTERS = 10;

export class LoadProgress {
  readonly #view = new LiveView(process.stderr);
  readonly #samples: Sample[] = [];
  readonly #total: number;
  readonly #isQuiet: boolean;
  #doing = '';

  constructor(total: number, isQuiet: boolean) {
    this.#total = total;
    this.#isQuiet = isQuiet;
  }

  /** What the run is doing: `publishing`, `draining`. */
  phase(text: string): void {
    this.#doing = text;
  }

  show(sample: Sample): void {
    this.#samples.push(sample);
    if (this.#isQuiet) return;
    const line = () => lineOf(this.#samples, this.#total, this.#doing);
    this.#view.show(`${line()}\n${dim(sparkline(this.#samples))}`);
    this.#view.tell(line);
  }

  /** A line that stays. */
  say(text: string): void {
    if (!this.#isQuiet) note(text);
  }

  stop(): void {
    this.#view.end();
  }
}

/** `42 s        publishing  sent 310/2000  waiting 201  in work 2  workers 2/2  done 107  8.4/s  failed 0`. */
export function lineOf(samples: readonly Sample[], total: number, doing: string): string {
  const now = samples.at(-1);
  if (now === undefined) return doing;
  const { ready, unacked, consumers, wanted } = now.total;
  const workers = Number.isNaN(wanted) ? count(consumers) : `${count(consumers)}/${count(wanted)}`;
  return [
    timeLabel(Math.round(now.atMs / 1_000) * 1_000).padEnd(TIME_CHARACTERS),
    bold(doing.padEnd(10)),
    `sent ${now.submitted}/${total}`,
    `waiting ${count(ready)}`,
    `in work ${count(unacked)}`,
    `workers ${workers}`,
    `done ${now.completed}`,
    `${rateOf(samples).toFixed(1)}/s`,
    ...(now.failed > 0 ? [`failed ${now.failed}`] : []),
    ...(now.retries > 0 ? [`retries ${now.retries}`] : []),
  ].join('  ');
}

/** Tasks ended a second, over the last few samples. */
function rateOf(samples: readonly Sample[]): number {
  const [first] = samples.slice(-RATE_SAMPLES - 1);
  const last = samples.at(-1);
  if (first === undefined || last === undefined || last.atMs === first.atMs) return 0;
  return ((last.completed + last.failed - first.completed - first.failed) * 1_000) / (last.atMs - first.atMs);
}

function sparkline(samples: readonly Sample[]): string {
  const depths = samples.slice(-SPARK_CHARACTERS).map(({ total }) => total.ready || 0);
  const most = Math.max(1, ...depths);
  const bars = depths.map((depth) => SPARK[Math.round((depth / most) * (SPARK.length - 1))]);
  return `${' '.repeat(TIME_CHARACTERS)}  queue ${bars.join('')} ${most} at most in ${SPARK_CHARACTERS} s`;
}

function count(value: number): string {
  return Number.isNaN(value) ? '?' : String(value);
}

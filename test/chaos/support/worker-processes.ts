/** Real worker processes, kept alive by a small supervisor as Kubernetes would keep them. */
import { spawn } from 'node:child_process';
import { createWriteStream, type WriteStream } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { until } from '../../support/until.ts';
import type { Random } from './random.ts';

const LAUNCHER = fileURLToPath(new URL('../../../runtime/cli/darkroom.mjs', import.meta.url));
const RESPAWN_DELAY_MS = 50;
/** Before the next one takes the place of a worker that could not even start. */
const FAILED_START_DELAY_MS = 2_000;
const READY_TIMEOUT_MS = 60_000;
const PROBE_TIMEOUT_MS = 2_000;
const PAGE_BYTES = 4_096;

/** One place in the crew: which filters its worker has, and what its environment has beside the others'. */
export interface Slot {
  filters: readonly string[];
  env?: NodeJS.ProcessEnv;
}

export interface Member {
  readonly slot: number;
  readonly pid: number;
  readonly running: boolean;
  readonly started: boolean;
  /** The processes that run its filters. */
  childPids(): Promise<number[]>;
  /** From here on its end is expected. */
  signal(name: NodeJS.Signals): void;
  /** Ends it with SIGTERM. @returns its exit code, null when it was killed; 0 when it had not yet begun to run */
  stop(): Promise<number | null>;
  /** The body of an answer of its probe server. */
  get(path: string): Promise<string>;
  /** What its readiness probe says. */
  isReady(): Promise<boolean>;
  readonly exited: Promise<number | null>;
  /** What it said on standard output, as parsed lines of at least level `warn`, the last ones. */
  readonly complaints: string[];
}

export interface Crew {
  readonly members: readonly Member[];
  /** Resolves when every member says that it is ready. */
  ready(timeoutMs?: number): Promise<void>;
  /** kill -9 of a member that runs, or of one of its children. @returns which it was */
  killOne(random: Random, what: 'worker' | 'child'): Promise<boolean>;
  /** Workers that ended although nobody here told them to. */
  readonly deaths: string[];
  /** No longer restarts, and ends all with SIGTERM. @returns their exit codes */
  stop(): Promise<(number | null)[]>;
  /** kill -9 of all. */
  kill(): Promise<void>;
}

export interface CrewOptions {
  slots: Slot[];
  env: NodeJS.ProcessEnv;
  /** Where standard output and errors go, one file per slot. */
  logFolder: string;
  /** Deaths are part of the scenario (failpoints) and not counted. */
  mayDie?: boolean;
}

export function startCrew({ slots, env, logFolder, mayDie = false }: CrewOptions): Crew {
  const startedAt = Math.round(performance.now());
  const logs = slots.map((_, slot) =>
    createWriteStream(join(logFolder, `worker-${startedAt}-${slot}.log`), { flags: 'a' }),
  );
  const deaths: string[] = [];
  const told = new Set<number>();
  let ending = false;
  const members = slots.map((_, slot) => hire(slot));

  function hire(slot: number): Member {
    const { filters, env: own } = slots[slot]!;
    const member = startMember(slot, filters, { ...env, ...own }, logs[slot]!, (pid) => told.add(pid));
    void member.exited.then(async (code) => {
      const complaint = member.complaints.slice(-3).join(' | ').replaceAll(/\s+/g, ' ');
      if (!told.has(member.pid) && !mayDie)
        deaths.push(`the worker of ${filters.join(',')} ended with ${code}: ${complaint}`);
      if (ending) return;
      await sleep(member.started ? RESPAWN_DELAY_MS : FAILED_START_DELAY_MS);
      if (!ending) members[slot] = hire(slot);
    });
    return member;
  }

  return {
    members,
    async ready(timeoutMs = READY_TIMEOUT_MS) {
      const all = async () => (await Promise.all(members.map((member) => member.isReady()))).every(Boolean);
      await until(all, 'workers that are ready', timeoutMs);
    },
    async killOne(random, what) {
      const member = random.pick(members);
      if (!member.running) return false;
      const pid = what === 'worker' ? member.pid : random.shuffle(await member.childPids())[0];
      if (pid === undefined) return false;
      if (what === 'worker') told.add(pid);
      return kill(pid);
    },
    deaths,
    async stop() {
      ending = true;
      const codes = await Promise.all(members.map((member) => member.stop()));
      for (const log of logs) log.end();
      return codes;
    },
    async kill() {
      ending = true;
      for (const member of members) member.signal('SIGKILL');
      await Promise.all(members.map(({ exited }) => exited));
    },
  };
}

function startMember(
  slot: number,
  filters: readonly string[],
  env: NodeJS.ProcessEnv,
  log: WriteStream,
  isTold: (pid: number) => void,
): Member {
  const child = spawn(process.execPath, [LAUNCHER, 'worker', ...filters], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const complaints: string[] = [];
  let port = 0;
  createInterface({ input: child.stdout }).on('line', (line) => {
    log.write(`${line}\n`);
    const entry = parsed(line);
    if (entry.msg === 'worker started') port = Number(entry.port);
    if (Number(entry.level) >= 40) complaints.push(line.slice(0, 500));
    if (complaints.length > 20) complaints.shift();
  });
  child.stderr.on('data', (text: Buffer) => {
    log.write(text);
    complaints.push(text.toString().slice(0, 2_000));
  });
  const running = () => child.exitCode === null && child.signalCode === null;
  const signal = (name: NodeJS.Signals) => {
    isTold(child.pid ?? 0);
    child.kill(name);
  };
  return {
    slot,
    pid: child.pid ?? 0,
    get running() {
      return running();
    },
    get started() {
      return port !== 0;
    },
    childPids: () => childPids(child.pid),
    signal,
    async stop() {
      const begun = port !== 0;
      signal('SIGTERM');
      const code = await exited;
      return begun ? code : (code ?? 0);
    },
    get: async (path) => (await fetch(`http://127.0.0.1:${port}${path}`)).text(),
    isReady: () => probe(port, running),
    exited,
    complaints,
  };
}

async function probe(port: number, running: () => boolean): Promise<boolean> {
  if (port === 0 || !running()) return false;
  const answer = await fetch(`http://127.0.0.1:${port}/readyz`, {
    signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
  }).catch(() => undefined);
  await answer?.body?.cancel();
  return answer?.status === 200;
}

/** Linux. */
async function childPids(pid: number | undefined): Promise<number[]> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return children.split(' ').filter(Boolean).map(Number);
}

/** Resident bytes of a process, or undefined when it is gone. */
export async function residentBytes(pid: number): Promise<number | undefined> {
  const statm = await readFile(`/proc/${pid}/statm`, 'utf8').catch(() => undefined);
  return statm === undefined ? undefined : Number(statm.split(' ')[1]) * PAGE_BYTES;
}

/** Open files, sockets and pipes of a process. */
export async function openHandles(pid: number): Promise<number | undefined> {
  return (await readdir(`/proc/${pid}/fd`).catch(() => undefined))?.length;
}

/** What a process was started with. */
export async function environmentOf(pid: number): Promise<string> {
  return await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
}

/** Its command line, which every user of the machine may read. */
export async function commandLineOf(pid: number): Promise<string> {
  return await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
}

function kill(pid: number): boolean {
  try {
    process.kill(pid, 'SIGKILL');
    return true;
  } catch {
    return false;
  }
}

function parsed(line: string): Record<string, unknown> {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return {};
  }
}

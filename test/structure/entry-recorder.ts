/**
 * Preloaded into a worker and, through it, into its child: writes down when each function of the repository, and of
 * amqplib, starts. `?folder=` in its URL says where to: one file a process, one line an entry.
 */
import { ChildProcess } from 'node:child_process';
import { openSync, writeSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ENTRY_REPORTER, markEntries } from './mark-entries.ts';

const ROOT = new URL('../../', import.meta.url).href;
const MARKED = [
  /^(functions|runtime|keda|helm|test)\/.*\.ts$/,
  /^node_modules\/amqplib\/lib\/channel(_model)?\.js$/,
];

const folder = new URL(import.meta.url).searchParams.get('folder') ?? '.';
const log = openSync(join(folder, `${process.pid}.entries`), 'a');

Object.assign(globalThis, {
  // The clock of the machine's uptime, which all processes share.
  [ENTRY_REPORTER]: (report: string) => void writeSync(log, `${process.hrtime.bigint()}\t${report}\n`),
});

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    const path = pathInRepository(url);
    if (path === undefined || !loaded.source) return loaded;
    return { ...loaded, source: markEntries(path, Buffer.from(loaded.source as Uint8Array).toString()) };
  },
});

function pathInRepository(url: string): string | undefined {
  if (!url.startsWith('file:')) return undefined;
  const path = url.startsWith(ROOT)
    ? url.slice(ROOT.length)
    : fileURLToPath(url).replace(/^.*\/(?=node_modules\/)/, '');
  return MARKED.some((pattern) => pattern.test(path)) ? path : undefined;
}

/** A worker gives its child neither its options nor most of its environment: the preload is handed on here. */
interface SpawnOptions {
  file: string;
  args: string[];
}
const prototype = ChildProcess.prototype as unknown as { spawn(options: SpawnOptions): unknown };
const { spawn } = prototype;
prototype.spawn = function (options) {
  const { file, args } = options;
  // Another program may have been asked to become this Node.
  const at = file === process.execPath ? 0 : args.indexOf(process.execPath);
  if (at !== -1) args.splice(at + 1, 0, '--import', import.meta.url);
  return spawn.call(this, options);
};

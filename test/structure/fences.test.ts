/** The import fences of biome.json, tried on a small tree of their own: one import a file. */
import { execFile } from 'node:child_process';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../support/temporary-folder.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const BIOME = join(ROOT, 'node_modules/@biomejs/biome/bin/biome');

interface Fence {
  place: string;
  /** Folders whose files the fence is for. */
  folders: string[];
  message: string;
  /** Paths in the repository, or packages. */
  forbidden: string[];
  allowed: string[];
}

const LIBRARIES = ['zod', 'sharp', 'node:fs'];
const DOORS = ['runtime/cli/main.ts', 'runtime/cli/commands/run.ts', 'runtime/gateway/main.ts'];
const KEDA = ['keda/model.ts', 'keda/model/hpa.ts'];
const FUNCTIONS = ['functions/resize.ts', 'functions/kernels/samples.ts'];
const NEVER_IN_PRODUCT = ['helm/files/a.ts', 'test/support/until.ts'];
const AMQPLIB = ['amqplib', 'amqplib/lib/defs.js'];
const CORE = [
  'runtime/errors.ts',
  'runtime/functions.ts',
  'runtime/amqp/broker.ts',
  'runtime/storage/open.ts',
  'runtime/worker/main.ts',
];
const CONTRACT = [
  'runtime/filter.ts',
  'runtime/filter-params.ts',
  'runtime/errors.ts',
  'runtime/image/formats.ts',
];

const CORE_MESSAGE = 'The core of the runtime imports neither the doors';
const AMQPLIB_MESSAGE = 'Only runtime/amqp imports amqplib.';

const FENCES: Fence[] = [
  {
    place: 'the core of the runtime',
    folders: [
      'runtime',
      'runtime/amqp',
      'runtime/worker',
      'runtime/task',
      'runtime/image',
      'runtime/storage',
      'runtime/telemetry',
    ],
    message: CORE_MESSAGE,
    forbidden: [...DOORS, ...KEDA, ...FUNCTIONS, ...NEVER_IN_PRODUCT],
    allowed: [...CORE, ...LIBRARIES],
  },
  {
    place: 'all but runtime/amqp',
    folders: [
      'runtime',
      'runtime/worker',
      'runtime/cli',
      'runtime/cli/commands',
      'runtime/gateway',
      'keda',
      'functions',
      'functions/kernels',
    ],
    message: AMQPLIB_MESSAGE,
    forbidden: AMQPLIB,
    allowed: [],
  },
  { place: 'runtime/amqp', folders: ['runtime/amqp'], message: '', forbidden: [], allowed: AMQPLIB },
  {
    place: 'a door',
    folders: ['runtime/cli', 'runtime/cli/commands', 'runtime/gateway'],
    message: 'A door imports runtime/ and keda/ only',
    forbidden: [...FUNCTIONS, ...NEVER_IN_PRODUCT],
    allowed: [...CORE, ...DOORS, ...KEDA, ...LIBRARIES],
  },
  {
    place: 'keda',
    folders: ['keda', 'keda/model'],
    message: 'keda/ imports itself and the core of the runtime only',
    forbidden: [...DOORS, ...FUNCTIONS, ...NEVER_IN_PRODUCT],
    allowed: [...CORE, ...KEDA, ...LIBRARIES],
  },
  {
    place: 'a filter',
    folders: ['functions'],
    message: 'A filter imports libraries, the contract',
    forbidden: [
      'functions/blur.ts',
      'runtime/config.ts',
      'runtime/worker/main.ts',
      'runtime/image/decode.ts',
      ...DOORS,
      ...KEDA,
      ...NEVER_IN_PRODUCT,
    ],
    allowed: [...CONTRACT, 'functions/kernels/samples.ts', ...LIBRARIES],
  },
  {
    place: 'a kernel',
    folders: ['functions/kernels'],
    message: 'A kernel imports libraries, other kernels and the contract',
    forbidden: [
      'functions/blur.ts',
      'runtime/config.ts',
      'runtime/worker/main.ts',
      'runtime/image/decode.ts',
      ...DOORS,
      ...KEDA,
      ...NEVER_IN_PRODUCT,
    ],
    allowed: [
      'runtime/filter.ts',
      'runtime/image/sample-memory.ts',
      'functions/kernels/samples.ts',
      ...LIBRARIES,
    ],
  },
  {
    place: 'a test',
    folders: ['test/runtime/amqp', 'test/chaos'],
    message: '',
    forbidden: [],
    allowed: [
      ...CORE,
      ...DOORS,
      ...KEDA,
      ...FUNCTIONS,
      ...CONTRACT,
      ...AMQPLIB,
      'test/support/until.ts',
      ...LIBRARIES,
    ],
  },
];

/** Every way to import; one forbidden import is tried in each. */
const FORMS: ((specifier: string) => string)[] = [
  (specifier) => `import { a } from '${specifier}';\n\nexport const b = a;\n`,
  (specifier) => `import type { A } from '${specifier}';\n\nexport type B = A;\n`,
  (specifier) => `import '${specifier}';\n`,
  (specifier) => `export { a } from '${specifier}';\n`,
  (specifier) => `export const b = () => import('${specifier}');\n`,
];

describe.each(FENCES.filter(({ forbidden }) => forbidden.length > 0))(
  'the fence around $place',
  ({ folders, message, forbidden }) => {
    it('refuses each forbidden import, however it is written, and says why', async () => {
      const files = folders.flatMap((folder) =>
        forbidden.flatMap((imported) =>
          FORMS.map((form) => ({ folder, text: form(specifierOf(folder, imported)) })),
        ),
      );

      const faults = await check(files);

      expect(faults.map(({ text }) => text)).toEqual(files.map(({ text }) => text));
      for (const fault of faults) expect(fault.message).toContain(message);
    });
  },
);

describe.each(FENCES)('the fence around $place', ({ folders, allowed }) => {
  it('lets every other import pass', async () => {
    const files = folders.flatMap((folder) =>
      allowed.map((imported) => ({ folder, text: FORMS[0]!(specifierOf(folder, imported)) })),
    );

    expect(await check(files)).toEqual([]);
  });
});

function specifierOf(folder: string, imported: string): string {
  if (!/^(functions|runtime|keda|helm|test)\//.test(imported)) return imported;
  const relative = posix.relative(folder, imported);
  return relative.startsWith('.') ? relative : `./${relative}`;
}

interface ScratchFile {
  folder: string;
  text: string;
}

/** What `biome check` finds wrong with these files under the repository's biome.json, in their order. */
async function check(files: ScratchFile[]): Promise<(ScratchFile & { message: string })[]> {
  await using tree = await temporaryFolder();
  await copyFile(join(ROOT, 'biome.json'), join(tree.path, 'biome.json'));
  const paths = files.map(({ folder }, number) => `${folder}/scratch-${number}.ts`);
  for (const [number, path] of paths.entries()) {
    await mkdir(join(tree.path, dirname(path)), { recursive: true });
    await writeFile(join(tree.path, path), files[number]!.text);
  }
  const { exitCode, diagnostics } = await runBiome(tree.path);
  expect(exitCode).toBe(diagnostics.length > 0 ? 1 : 0);
  return files.flatMap((file, number) =>
    diagnostics.filter(({ path }) => path === paths[number]).map(({ message }) => ({ ...file, message })),
  );
}

interface FailedRun {
  code: number;
  stdout: string;
}

/** In reviewdog's format, which has a specification. */
interface Report {
  diagnostics: { message: string; location?: { path: string } }[];
}

async function runBiome(cwd: string) {
  const options = ['--vcs-enabled=false', '--reporter=rdjson', '--max-diagnostics=none'];
  const passed = promisify(execFile)(process.execPath, [BIOME, 'check', ...options], { cwd });
  const { code, stdout } = await passed.then(
    ({ stdout }) => ({ code: 0, stdout }),
    (failed: FailedRun) => failed,
  );
  const { diagnostics } = JSON.parse(stdout) as Report;
  return {
    exitCode: code,
    diagnostics: diagnostics.map(({ message, location }) => ({ message, path: location?.path })),
  };
}

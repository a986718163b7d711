/** What someone gets who clones and has nothing but helm: no step between, sibling folder and all. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ENVIRONMENTS, helm, RELEASE, ROOT, renderText, valueArguments } from '../support/chart.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const run = promisify(execFile);
const environments = [undefined, ...ENVIRONMENTS];

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let clone: string;
let chart: string;

beforeAll(async () => {
  folder = await temporaryFolder();
  clone = join(folder.path, 'clone');
  chart = join(clone, 'helm');
  await cloneInto(clone);
});

afterAll(async () => await folder[Symbol.asyncDispose]());

describe('a fresh clone', () => {
  it.each(environments)('passes helm lint --strict: %s', async (environment) => {
    expect(await helm('lint', '--strict', ...valueArguments({ environment, chart }))).toContain(
      '0 chart(s) failed',
    );
  });

  it.each(environments)('renders as this work tree does: %s', async (environment) => {
    const theirs = await renderText({ environment, chart });

    expect(theirs).toBe(await renderText({ environment }));
    expect(theirs).toContain('kind: ScaledObject');
  });

  it('packages into an archive that holds real files and renders the same', async () => {
    await helm('package', chart, '--destination', folder.path);
    const archive = (await readdir(folder.path)).find((file) => file.endsWith('.tgz')) ?? 'none';
    const { stdout: entries } = await run('tar', ['-tvzf', join(folder.path, archive)]);

    expect(entries).toContain('darkroom/templates/keda/scaled-objects.yaml');
    expect(entries.split('\n').filter((line) => line.startsWith('l'))).toEqual([]);
    expect(await helm('template', RELEASE, join(folder.path, archive), '--namespace', 'darkroom')).toBe(
      await renderText(),
    );
  });

  it('needs no cluster to show what an upgrade would install', async () => {
    const shown = await helm(
      'install',
      RELEASE,
      ...valueArguments({ environment: 'dev', chart }),
      '--dry-run=client',
    );

    expect(shown).toContain('helm test darkroom -n darkroom');
  });
});

/** The commit, as git gives it; where there is no git, a copy of the two folders with the link between them. */
async function cloneInto(target: string) {
  if (existsSync(join(ROOT, '.git')) && (await hasGit())) {
    await run('git', ['clone', '--quiet', '--no-hardlinks', ROOT, target]);
    return;
  }
  for (const part of ['helm', 'keda']) {
    await cp(join(ROOT, part), join(target, part), { recursive: true, verbatimSymlinks: true });
  }
}

async function hasGit(): Promise<boolean> {
  return run('git', ['--version']).then(
    () => true,
    () => false,
  );
}

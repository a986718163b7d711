import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { runDarkroom } from '../../support/run-program.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { words } from '../../support/words.ts';

describe('darkroom simulate', () => {
  test('prints a table, and the same one again', async () => {
    const call = ['simulate', '--function', 'blur', '--load', 'burst', '-n', '500', '--price', '0.04'];
    const [first, second] = await Promise.all([runDarkroom(call), runDarkroom(call)]);
    expect(first.code).toBe(0);
    expect(first.stdout).toMatch(/Wait p95 +\d/);
    expect(first.stdout).toMatch(/500 of 500/);
    expect(second.stdout).toBe(first.stdout);
  });

  test('prints JSON with series, changes and figures', async () => {
    const { stdout } = await runDarkroom(words('simulate --load spike -n 300 --duration 10m --json'));
    const { load, scenarios } = JSON.parse(stdout);
    expect(load).toMatchObject({ kind: 'spike', messages: 300, durationMs: 600_000 });
    expect(scenarios[0].summary).toMatchObject({ completed: 300, stranded: 0 });
    expect(scenarios[0].series.replicas.at(-1)).toBe(0);
    expect(scenarios[0].changes[0]).toMatchObject({ from: 0, to: 1 });
  });

  test('compares two values files and writes a page with both', async () => {
    await using folder = await temporaryFolder();
    const at = (name: string) => path.join(folder.path, name);
    await writeFile(at('values.yaml'), 'defaults: { scaling: { maxReplicas: 4 } }\nfunctions: { blur: {} }');
    await writeFile(at('more.yaml'), 'defaults: { scaling: { maxReplicas: 16 } }');
    const files = ['-f', at('values.yaml'), '--compare', at('more.yaml')];
    const { code, stdout } = await runDarkroom([
      'simulate',
      ...files,
      '-n',
      '800',
      '--html',
      at('page.html'),
    ]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/With more\.yaml instead of values\.yaml, 95 % of messages begin within/);
    const page = await readFile(at('page.html'), 'utf8');
    expect(page).toContain('values.yaml against more.yaml');
  });

  test('lets slots overlap by the share of time that is not the processor’s', async () => {
    await using folder = await temporaryFolder();
    const values = path.join(folder.path, 'values.yaml');
    await writeFile(
      values,
      `defaults:
  slots: 4
  resources: { limits: { cpu: 1000m } }
  scaling: { minReplicas: 1, maxReplicas: 1 }
functions: { blur: {} }`,
    );
    const throughput = async (share: string) => {
      const call = [
        'simulate',
        '-f',
        values,
        '-n',
        '400',
        '--service-time',
        '1s',
        '--cpu-share',
        share,
        '--json',
      ];
      return JSON.parse((await runDarkroom(call)).stdout).scenarios[0].summary.throughput;
    };
    expect(await throughput('0')).toBeCloseTo(4, 1);
    expect(await throughput('1')).toBeCloseTo(1, 1);
    expect(await runDarkroom(['simulate', '--cpu-share', '1.5'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('expected a share from 0 to 1'),
    });
  });

  test('takes counts a second from CSV and from JSON alike', async () => {
    await using folder = await temporaryFolder();
    const csv = path.join(folder.path, 'load.csv');
    const json = path.join(folder.path, 'load.json');
    await writeFile(csv, 'second,count\n0,5\n2,7\n');
    await writeFile(json, '[5, 0, 7]');
    const [fromCsv, fromJson] = await Promise.all(
      [csv, json].map(async (file) =>
        JSON.parse((await runDarkroom(['simulate', '--load', file, '--json'])).stdout),
      ),
    );
    expect(fromCsv.load).toMatchObject({ messages: 12, durationMs: 3_000 });
    expect(fromJson.scenarios).toEqual(fromCsv.scenarios);
  });

  test('suggests settings for a target wait', async () => {
    const { stdout } = await runDarkroom(['simulate', '-n', '400', '--target-wait-p95', '60s', '--json']);
    const { suggestion } = JSON.parse(stdout);
    expect(suggestion.targetMet).toBe(true);
    expect(suggestion.best.summary.waitMs.p95).toBeLessThan(60_000);
  });

  test.each([
    [['--function', 'blr'], /did you mean blur\?/],
    [['--load', 'brust'], /did you mean burst\?/],
    [['--service-time', 'fast'], /expected 800ms or 800ms,p95=2s/],
    [['--messages', '-5'], /whole number of 1 or more/],
    [['--outage', '5m'], /10m\+2m/],
    [['-f', '/nowhere/values.yaml'], /cannot read the values file/],
    [['--html', '/nowhere/page.html'], /cannot write \/nowhere\/page\.html/],
  ])('explains the mistake in %j', async (args, message) => {
    const { code, stderr } = await runDarkroom(['simulate', ...args]);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/\n +at /);
  });
});

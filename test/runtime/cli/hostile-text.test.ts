/** Ids, keys, reasons and names that publishers choose: no command prints them so that they could steer a terminal. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { writeSubmissionRecord } from '../../../runtime/cli/submission-record.ts';
import { openStorage } from '../../../runtime/storage/open.ts';
import { markerKey } from '../../../runtime/task/task-marker.ts';
import { type Installation, startInstallation } from '../../support/installation.ts';
import { markEnded } from '../../support/letters.ts';

const CAT = fileURLToPath(new URL('../../fixtures/photos/cat.png', import.meta.url));
/** Steers a terminal by C0 and C1, turns text round, forges a line, and marks styles as we do ourselves. */
const HOSTILE = [
  'x\u001b]0;owned\u0007\u001b[2J\b\r',
  '\u009d0;owned\u009c\u009b2J\u0085',
  '\u202egpj.\u2066\u200f\u061c',
  '\n✓ all is well\r\n\u2028\u2029',
  '\ufdd0bold\ufdd4red',
].join('');
const CONTROLS = /(?!\n)[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufdd0-\ufdef]/u;

async function shown(at: Installation, ...args: string[]): Promise<string> {
  // Colours, if anything, are ours.
  const { code, stdout, stderr } = await at.darkroom(...args);
  expect(code, stderr).not.toBe(70);
  return stdout + stderr;
}

it('reaches no terminal, by no command', { timeout: 120_000 }, async () => {
  const id = HOSTILE;
  await using at = await startInstallation();
  await at.worker('flip');
  const storage = await openStorage(at.env.STORAGE_URL);
  await at.publish({ id, input: `${id}.png`, steps: [{ filter: 'flip', params: { [id]: id } }] });
  await at.publish({ id: 'plain', input: 'a.png', steps: [{ filter: id }] }, { filter: id.slice(0, 60) });
  await at.ended(id);
  await writeSubmissionRecord(storage, `${id}2`, [{ filter: id, params: {} }]);
  const data = {
    failure_type: id,
    failure_reason: id,
    output: { key: id, format: id, bytes: 1, sha256: '' },
  };
  for (const outcome of ['completed', 'failed', 'cancelled'] as const)
    await markEnded(storage, 0, { task_id: `${id}-${outcome}`, outcome, data });
  await markEnded(storage, 0, { task_id: `${id}-damaged`, data });
  await writeFile(join(at.folder, markerKey(`${id}-damaged`, 0)), id);

  const texts: string[] = [];
  const ids = [
    id,
    `${id}2`,
    `${id}-completed`,
    `${id}-failed`,
    `${id}-cancelled`,
    `${id}-damaged`,
    `${id}-none`,
  ];
  for (const task of ids) {
    texts.push(await shown(at, 'status', task), await shown(at, 'status', task, '--json'));
    texts.push(await shown(at, 'cancel', task));
    texts.push(await shown(at, 'dead', 'show', task), await shown(at, 'dead', 'show', task, '--json'));
  }
  texts.push(await shown(at, 'dead', 'list'), await shown(at, 'dead', 'list', '--json'));
  texts.push(await shown(at, 'dead', 'replay'), await shown(at, 'dead', 'purge', '--yes', '--json'));
  const publish = ['publish', CAT, '--step', 'flip', '--wait', '30', '--id', `${id}-completed`];
  texts.push(await shown(at, ...publish), await shown(at, ...publish, '--json'));

  for (const text of texts) expect(text).not.toMatch(CONTROLS);
  expect(texts.join('')).not.toMatch(/^✓ all is well/m);
});

/** A result that its owner took away, and the input with it, when the task comes once more. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { until } from '../../support/until.ts';
import { withPhoto } from './with-photo.ts';

it.each([
  ['one step', [{ filter: 'flip' }]],
  ['two steps', [{ filter: 'flip' }, { filter: 'grayscale' }]],
])('stays away, and the task of %s stays completed', async (_, steps) => {
  await using at = await withPhoto({ env: { RETRY_DELAYS: '100ms', INPUT_GRACE: '50ms' } });
  await at.worker(['flip', 'grayscale']);
  const task = { id: 'collected', input: 'photos/cat.jpg', steps, output: { key: 'out/cat.jpg' } };
  await at.publish(task);
  await at.ended('collected');
  for (const key of ['out/cat.jpg', 'photos/cat.jpg']) await rm(join(at.folder, key));

  await at.publish(task);

  const ends = () => at.events.filter(({ key }) => ['task.completed', 'task.failed'].includes(key));
  await until(() => ends().length === 2, 'the end of the second copy', 20_000);
  expect(ends().map(({ key }) => key)).toEqual(['task.completed', 'task.completed']);
  expect(await at.deadLetters()).toEqual([]);
  expect(await at.files()).not.toContain('out/cat.jpg');
});

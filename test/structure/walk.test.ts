import { expect, it } from 'vitest';
import { testBroker } from '../support/rabbit.ts';
import { walkOfOneTask } from './walk.ts';

it('follows a task through parent, child and filter, from its delivery to its ack', async () => {
  const { amqpUrl } = await testBroker();

  const walk = await walkOfOneTask(amqpUrl);

  const rooms = walk.map(({ process, path }) => `${process} ${path.split('/').slice(0, 2).join('/')}`);
  expect(rooms[0]).toBe('parent runtime/amqp');
  expect([...new Set(rooms)]).toEqual(
    expect.arrayContaining([
      'parent runtime/worker',
      'child runtime/worker',
      'child runtime/storage',
      'child functions/resize.ts',
    ]),
  );
  expect(rooms.at(-1)).toBe('parent runtime/amqp');
  // What only a start or an end of a worker does is no part of it.
  expect(walk.map(({ path }) => path)).not.toContain('runtime/config.ts');
});

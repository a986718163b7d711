/** Workers that run as users of the broker who do not believe each other. */
import { expect, it } from 'vitest';
import { brokerUser } from '../../support/broker-user.ts';
import { withPhoto } from './with-photo.ts';

const ALL = { configure: '.*', write: '.*', read: '.*' };
const STEPS = [{ filter: 'resize', params: { width: 20 } }, { filter: 'flip' }];

it('end a task that they would begin anew for ever, and name the setting', async (context) => {
  await using one = await brokerUser(ALL);
  await using other = await brokerUser(ALL);
  if (one === undefined || other === undefined) return context.skip();
  await using at = await withPhoto({ env: { CARRY: 'none' } });
  await at.worker('resize', { AMQP_URL: one.amqpUrl });
  await at.worker('flip', { AMQP_URL: other.amqpUrl });

  await at.publish({ id: 'to-and-fro', input: 'photos/cat.jpg', steps: STEPS });

  const { key, data } = await at.ended('to-and-fro');
  expect([key, data.failure_reason]).toEqual(['task.failed', expect.stringContaining('TRUSTED_USERS')]);
  expect(at.events.filter((event) => event.key === 'task.started').length).toBeLessThan(10);
});

it('see a task through when each names the other', async (context) => {
  await using one = await brokerUser(ALL);
  await using other = await brokerUser(ALL);
  if (one === undefined || other === undefined) return context.skip();
  await using at = await withPhoto({ env: { CARRY: 'none' } });
  await at.worker('resize', { AMQP_URL: one.amqpUrl, TRUSTED_USERS: other.name });
  await at.worker('flip', { AMQP_URL: other.amqpUrl, TRUSTED_USERS: one.name });

  await at.publish({ id: 'through', input: 'photos/cat.jpg', steps: STEPS });

  expect((await at.ended('through')).key).toBe('task.completed');
});

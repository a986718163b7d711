/** Images inside their messages, and messages that are no task. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { startInstallation } from '../../support/installation.ts';
import { pikaPython } from '../../support/pika.ts';
import { until } from '../../support/until.ts';
import { photo, withPhoto } from './with-photo.ts';

describe('an image inside its message', () => {
  it('comes back as the reply, filtered', async () => {
    await using at = await startInstallation();
    await at.worker(['resize', 'grayscale']);
    const reply = Promise.withResolvers<{ body: Buffer; type: string; correlation: string }>();
    void at.broker.withChannel(async (channel) => {
      const { queue } = await channel.assertQueue('', { exclusive: true });
      await channel.consume(
        queue,
        (message) =>
          message &&
          reply.resolve({
            body: message.content,
            type: message.properties.contentType,
            correlation: message.properties.correlationId,
          }),
        { noAck: true },
      );
      const steps = JSON.stringify([{ filter: 'resize', params: { width: 50 } }, { filter: 'grayscale' }]);
      await at.publish(await photo(), {
        filter: 'resize',
        properties: {
          contentType: 'image/jpeg',
          messageId: 'inline',
          replyTo: queue,
          correlationId: 'c-1',
          headers: { 'darkroom-steps': steps },
        },
      });
      await reply.promise;
    });

    const { body, type, correlation } = await reply.promise;
    expect([type, correlation]).toEqual(['image/jpeg', 'c-1']);
    expect(await sharp(body).metadata()).toMatchObject({ width: 50, channels: 1 });
  });
});

describe('a message that is no task', () => {
  const cases: [string, Buffer | object, string, RegExp][] = [
    ['that is not JSON', Buffer.from('{"input":'), 'invalid-message', /not JSON/],
    ['with a misspelt key', { input: 'a.jpg', stepps: [] }, 'invalid-task', /stepps/],
    [
      'with a filter nobody has',
      { input: 'photos/cat.jpg', steps: [{ filter: 'flipp' }] },
      'unknown-filter',
      /flipp/,
    ],
    [
      'with a parameter out of bounds',
      { input: 'photos/cat.jpg', steps: [{ filter: 'flip', params: { direction: 'sideways' } }] },
      'invalid-params',
      /steps\[0\]\.params\.direction.*sideways/,
    ],
    [
      'with a broken later step',
      { input: 'photos/cat.jpg', steps: [{ filter: 'flip' }, { filter: 'blur', params: { radius: -1 } }] },
      'invalid-params',
      /steps\[1\]\.params\.radius/,
    ],
    ['whose input is no image', { input: 'notes.txt', steps: [{ filter: 'flip' }] }, 'not-an-image', /./],
    [
      'whose output leaves the storage',
      { input: 'photos/cat.jpg', steps: [{ filter: 'flip' }], output: { key: '../../etc/passwd' } },
      'invalid-task',
      /output\.key/,
    ],
    [
      'whose input leaves the storage',
      { input: '../secret.jpg', steps: [{ filter: 'flip' }] },
      'input-forbidden',
      /\.\./,
    ],
    [
      'whose output lies below a file',
      { input: 'photos/cat.jpg', steps: [{ filter: 'flip' }], output: { key: 'notes.txt/cat.jpg' } },
      'invalid-task',
      /should be a folder is a file/,
    ],
    [
      'whose input is plain http',
      { input: 'http://example.com/a.jpg', steps: [{ filter: 'flip' }] },
      'input-forbidden',
      /http/,
    ],
  ];

  it.each(cases)('%s goes to the dead letters with the reason', async (_, task, type, reason) => {
    await using at = await withPhoto();
    await at.put('notes.txt', Buffer.from('just words'));
    await at.worker('flip');

    await at.publish(task, { filter: 'flip' });

    const letter = await at.deadLetter();
    const headers = letter.properties.headers as Record<string, string>;
    expect(headers['darkroom-failure-type']).toBe(type);
    expect(headers['darkroom-failure-reason']).toMatch(reason);
    expect(await at.depth(`${at.prefix}.flip`)).toBe(0);
  });

  it.each([
    ['日'.repeat(150), '日'.repeat(66)],
    ['🐈'.repeat(51), '🐈'.repeat(50)],
    ['x'.repeat(201), 'x'.repeat(200)],
  ])('ends under as much of its id as a task’s may have', async (id, shortened) => {
    await using at = await startInstallation();
    await at.worker('flip');

    await at.publish(Buffer.from('no task'), {
      filter: 'flip',
      properties: { headers: { 'darkroom-id': id } },
    });

    const told = await until(() => at.events.find(({ key }) => key === 'task.failed'), 'its end');
    expect(told.subject).toBe(shortened);
  });

  it('with more headers than amqplib can send on ends in the dead letters, and the next one is worked on', async (context) => {
    const python = await pikaPython();
    if (python === undefined)
      return context.skip('needs a python3 that can import pika (Debian: apt-get install python3-pika)');
    await using at = await withPhoto();
    const worker = await at.worker(['flip', 'blur']);
    const steps = [{ filter: 'flip' }, { filter: 'blur', params: { radius: 1 } }];

    await promisify(execFile)(python, [
      fileURLToPath(new URL('../../support/publish-with-headers.py', import.meta.url)),
      String(at.env.AMQP_URL),
      `${at.prefix}.flip`,
      JSON.stringify([
        { id: 'goes-on', input: 'photos/cat.jpg', steps },
        { id: 'tries-again', input: 'photos/none.jpg', steps },
        'no task',
      ]),
    ]);

    expect((await at.ended('goes-on')).data).toMatchObject({ outcome: 'completed' });
    expect((await at.ended('tries-again')).data).toMatchObject({ failure_type: 'input-not-found' });
    const letters = await until(async () => {
      const found = await at.deadLetters();
      return found.length >= 2 ? found : undefined;
    }, 'both dead letters');
    for (const { properties } of letters) {
      expect(properties.headers).toMatchObject({
        'darkroom-failure-type': expect.stringMatching(/^(input-not-found|invalid-message)$/),
        'darkroom-left-out': expect.stringMatching(/x-large/),
        traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
        'x-small': 'kept',
      });
    }
    expect(letters).toHaveLength(2);
    expect(worker.logs.filter(({ msg }) => msg === 'a task could not be settled')).toEqual([]);
  });

  it('for a queue that is not there is kept by the alternate exchange', async () => {
    await using at = await startInstallation();

    await at.publish({ input: 'a.jpg', steps: [{ filter: 'nowhere' }] });

    const listed = await at.darkroom('dead', 'list', '--json');
    expect(JSON.parse(listed.stdout)).toMatchObject([
      { failure_type: 'unroutable', reason: expect.stringContaining('nowhere') },
    ]);
  });
});

/** The order of a settlement: publish, confirm, clean up, acknowledge. */
import { describe, expect, it } from 'vitest';
import {
  type Delivery,
  NotConnected,
  PublishNacked,
  PublishRefused,
  PublishUnknown,
  Unroutable,
} from '../../../runtime/amqp/broker.ts';
import { names } from '../../../runtime/amqp/topology.ts';
import { createLog } from '../../../runtime/telemetry/log.ts';
import type { Decision } from '../../../runtime/worker/decision.ts';
import type { Message } from '../../../runtime/worker/messages.ts';
import { Settler } from '../../../runtime/worker/settle.ts';
import { until } from '../../support/until.ts';

const LOG = createLog('silent');
const STEP: Message = { purpose: 'step', exchange: '', routingKey: 'darkroom.flip', body: Buffer.alloc(1) };
const EVENT: Message = { purpose: 'event', exchange: 'e', routingKey: 'task.failed', body: Buffer.alloc(1) };

function decisionOf(given: Partial<Decision> = {}): Decision {
  return {
    messages: [STEP, EVENT],
    announcements: [],
    settlement: 'completed',
    log: { level: 'info', text: 'done', fields: {} },
    ...given,
  };
}

/** A settler that writes down what it does; `publish` is told how often a message was sent before. */
function setUp(publish: (message: Message, earlier: number, story: string[]) => Promise<void>) {
  const story: string[] = [];
  const sent = new Map<Message, number>();
  let alive = true;
  const say = (text: string) => () => {
    story.push(text);
    alive = false;
    return true;
  };
  const delivery = {
    get alive() {
      return alive;
    },
    ack: say('ack'),
    nack: say('nack'),
    reject: say('reject'),
  } as unknown as Delivery;
  const settler = new Settler({
    filter: 'blur',
    at: names('darkroom'),
    broker: {
      async publish(request) {
        const message = request as Message;
        const earlier = sent.get(message) ?? 0;
        sent.set(message, earlier + 1);
        await publish(message, earlier, story);
        story.push(`confirmed ${message.purpose}`);
      },
      publishLater: ({ routingKey }) => void story.push(`announced ${routingKey}`),
    },
    child: { clean: async ({ id }) => void story.push(`cleaned ${id}`) },
    metrics: {
      task: (_, settlement) => void story.push(`counted ${settlement}`),
      notSent: (_, purpose) => void story.push(`not sent: ${purpose}`),
    },
  });
  return { settler, story, delivery, takeBack: () => (alive = false) };
}

const atOnce = async () => {};

describe('settling', () => {
  it('acknowledges only once every message is confirmed and the leftovers are gone', async () => {
    const { settler, story, delivery } = setUp(async ({ purpose }) => {
      if (purpose === 'step') await new Promise((resolve) => setTimeout(resolve, 20));
    });
    const event = { type: 'retrying', taskId: 't', step: 0, generation: 0, attempt: 0 } as const;
    const announcements = [{ ...event, filter: 'blur', time: '', data: {} }];

    const settled = await settler.settle(
      delivery,
      decisionOf({ cleanUp: { id: 'cat', fingerprint: '', steps: [] }, announcements }),
      LOG,
    );

    expect(settled).toBe('settled');
    expect(story).toEqual([
      'confirmed event',
      'confirmed step',
      'announced task.retrying',
      'cleaned cat',
      'ack',
      'counted completed',
    ]);
  });

  it.each([
    ['never confirmed', new PublishUnknown('sent, but not confirmed')],
    ['never sent', new NotConnected('no connection')],
    [
      'refused for want of the exchange',
      new PublishRefused('no exchange', { cause: Object.assign(new Error(), { code: 404 }) }),
    ],
  ])('publishes again what was %s', async (_, error) => {
    const { settler, story, delivery } = setUp(async (message, earlier) => {
      if (message === STEP && earlier === 0) throw error;
    });
    await settler.settle(delivery, decisionOf(), LOG);
    expect(story).toEqual(['confirmed event', 'confirmed step', 'ack', 'counted completed']);
  });

  it('stops when the broker has taken the delivery back, and acknowledges nothing', async () => {
    const { settler, story, delivery, takeBack } = setUp(async ({ purpose }) => {
      takeBack();
      if (purpose === 'step') throw new PublishUnknown('connection lost');
    });
    expect(await settler.settle(delivery, decisionOf(), LOG)).toBe('taken-back');
    expect(story).toEqual([]);
  });

  it('gives up an event that its queue refuses, counts it, and lets the task end', async () => {
    const { settler, story, delivery } = setUp(async ({ purpose }) => {
      if (purpose === 'event') throw new PublishNacked('the queue is full');
    });
    expect(await settler.settle(delivery, decisionOf(), LOG)).toBe('settled');
    expect(story).toEqual(['confirmed step', 'not sent: event', 'ack', 'counted completed']);
  });

  it('replies with less where the broker finds the reply too large, and else with nothing', async () => {
    const tooLarge = new PublishRefused('too large', { cause: Object.assign(new Error(), { code: 406 }) });
    const { settler, story, delivery } = setUp(async ({ purpose, body }) => {
      if (purpose === 'reply' && body.length > 1) throw tooLarge;
    });
    const small: Message = { purpose: 'reply', exchange: '', routingKey: 'amq.gen-1', body: Buffer.alloc(1) };
    const large = { ...small, body: Buffer.alloc(9) };
    const messages = [EVENT, { ...large, instead: small }, large];
    expect(await settler.settle(delivery, decisionOf({ messages }), LOG)).toBe('settled');
    expect(story.sort()).toEqual([
      'ack',
      'confirmed event',
      'confirmed reply',
      'counted completed',
      'not sent: reply',
    ]);
  });

  it('waits for a next step that its queue refuses, and says so meanwhile', async () => {
    const waited: (string | undefined)[] = [];
    const { settler, story, delivery } = setUp(async ({ purpose }, earlier) => {
      waited.push(settler.waitsFor);
      if (purpose === 'step' && earlier < 4) throw new PublishNacked('the queue is full');
    });
    const decision = decisionOf({ messages: [STEP] });
    expect(await settler.settle(delivery, decision, LOG)).toBe('settled');
    expect(waited).toEqual([undefined, ...Array(4).fill('the queue is full')]);
    expect(settler.waitsFor).toBeUndefined();
    expect(story).toEqual(['confirmed step', 'ack', 'counted completed']);
  });

  it('waits no longer for a queue that refuses once the worker must stop, and leaves the delivery as it is', async () => {
    const { settler, story, delivery } = setUp(async ({ purpose }) => {
      if (purpose === 'step') throw new PublishNacked('the queue is full');
    });
    const settling = settler.settle(delivery, decisionOf({ messages: [STEP] }), LOG);
    await until(() => settler.waitsFor, 'the wait for the queue');
    settler.stopWaiting();
    expect(await settling).toBe('refused');
    expect(story).toEqual([]);
    const again = decisionOf({ messages: [{ ...STEP, purpose: 'copy' }], settlement: 'given-back' });
    expect(await settler.settle(delivery, again, LOG)).toBe('settled');
    expect(story).toEqual(['confirmed copy', 'ack', 'counted given-back']);
  });

  it('gives the delivery back by nack when its copy is refused too', async () => {
    const { settler, story, delivery } = setUp(async () => {
      throw new PublishNacked('the queue is full');
    });
    settler.stopWaiting();
    const decision = decisionOf({ messages: [STEP], otherwise: 'nack' });
    expect(await settler.settle(delivery, decision, LOG)).toBe('settled');
    expect(story).toEqual(['nack']);
  });

  it('says when the next step has no queue', async () => {
    const { settler, story, delivery } = setUp(async ({ purpose }) => {
      if (purpose === 'step') throw new Unroutable('no queue');
    });
    const decision = decisionOf({ messages: [STEP], needsQueueOf: 'flip' });
    expect(await settler.settle(delivery, decision, LOG)).toBe('unroutable');
    expect(story).toEqual([]);
  });

  it.each([
    [
      'refused by size',
      new PublishRefused('too large', { cause: Object.assign(new Error(), { code: 406 }) }),
    ],
    ['not to be encoded', new TypeError('a header')],
  ])('throws what cannot be published at all: %s', async (_, error) => {
    const { settler, story, delivery } = setUp(async () => {
      throw error;
    });
    await expect(settler.settle(delivery, decisionOf(), LOG)).rejects.toBe(error);
    expect(story).toEqual([]);
  });

  it.each(['nack', 'reject'] as const)(
    'gives the delivery back by %s where the decision says so',
    async (way) => {
      const { settler, story, delivery } = setUp(async () => {
        throw new TypeError('a header');
      });
      expect(await settler.settle(delivery, decisionOf({ otherwise: way }), LOG)).toBe('settled');
      expect(story).toEqual([way]);
    },
  );

  it('has nothing to publish for an empty decision and acknowledges at once', async () => {
    const { settler, story, delivery } = setUp(atOnce);
    await settler.settle(delivery, decisionOf({ messages: [] }), LOG);
    expect(story).toEqual(['ack', 'counted completed']);
  });
});

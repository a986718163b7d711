/** The chart on a real cluster, step by step: each builds on the one before. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { names } from '../../runtime/amqp/topology.ts';
import { until } from '../support/until.ts';
import { words } from '../support/words.ts';
import { type Cluster, FILTER, openCluster, SETTINGS } from './cluster.ts';

const QUEUE = names('darkroom').queue(FILTER);
const STAYS_MS = 60_000;

let at: Cluster;

const ids = (name: string, count: number) => Array.from({ length: count }, (_, index) => `${name}-${index}`);

/** Every task completed, and at its first try: nothing was delivered twice. */
async function completedAtOnce(tasks: string[]): Promise<void> {
  const ended = await at.untilEnded(tasks);
  expect(ended.filter(({ type }) => !type.endsWith('completed'))).toEqual([]);
  const starts = at.events.filter(({ type, subject }) => type.endsWith('started') && tasks.includes(subject));
  expect(new Set(starts.map(({ subject }) => subject)).size).toBe(starts.length);
}

async function staysAtZero(): Promise<void> {
  const end = performance.now() + STAYS_MS;
  await until(
    async () => {
      expect(await at.workers()).toBe(0);
      return performance.now() > end;
    },
    'a minute at zero',
    STAYS_MS + 30_000,
  );
}

describe('the chart on a cluster', () => {
  beforeAll(async () => {
    at = await openCluster();
  });
  afterAll(async () => {
    await at?.[Symbol.asyncDispose]();
  });

  it('installs with its queues declared, ScaledObjects ready and no worker running', async () => {
    const queues = await at.rabbitmqctl('list_queues', 'name', '--silent');
    expect(queues).toContain(QUEUE);
    await at.until(async () => {
      const objects = JSON.parse(await at.kubectl('get', 'scaledobjects', '--output', 'json')) as {
        items: { status?: { conditions?: { type: string; status: string }[] } }[];
      };
      return objects.items.every(({ status }) =>
        status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True'),
      );
    }, 'every ScaledObject to be ready');
    expect(await at.workers()).toBe(0);
  });

  it('goes from zero to several on a burst, and back to zero', async () => {
    const burst = ids('burst', 30);
    await at.publish(burst, true);

    const most = await at.untilWorkers((workers) => workers > 1, 'more than one worker');
    await completedAtOnce(burst);

    expect(most).toBeGreaterThan(1);
    await at.untilWorkers((workers) => workers === 0, 'no workers');
  });

  it('drains without a redelivery when busy pods are told to go', async () => {
    const tasks = ids('drained', 8);
    await at.publish(tasks, true);
    await at.untilWorkers((workers) => workers > 1, 'more than one worker');
    await at.until(
      () => at.events.some(({ type, subject }) => type.endsWith('started') && tasks.includes(subject)),
      'a task in work',
    );

    await at.kubectl('delete', 'pods', '--selector', `darkroom.filter=${FILTER}`, '--wait=false');

    await completedAtOnce(tasks);
  });

  it('kills no busy worker when it scales in', async () => {
    // Some long tasks hold their workers while the rest of the queue has gone.
    const tasks = [...ids('long', 3), ...ids('rest', 20)];
    await at.publish(tasks.slice(0, 3), true);
    await at.publish(tasks.slice(3));

    await completedAtOnce(tasks);
    await at.untilWorkers((workers) => workers === 0, 'no workers');
  });

  it('is upgraded under load without a loss', async () => {
    const tasks = ids('upgraded', 20);
    await at.publish(tasks, true);
    await at.untilWorkers((workers) => workers > 0, 'a worker');

    await at.upgrade('defaults.podAnnotations.e2e=upgraded');

    const ended = await at.untilEnded(tasks);
    expect(ended.filter(({ type }) => !type.endsWith('completed'))).toEqual([]);
  });

  it('outlives a broker that goes and comes back', async () => {
    const tasks = ids('outage', 20);
    await at.publish(tasks, true);
    await at.untilWorkers((workers) => workers > 0, 'a worker');

    await at.rabbitmqctl('stop_app');
    const during = await at.workers();
    await new Promise((resolve) => setTimeout(resolve, 30_000));
    // The outage policy: nothing is scaled in because the broker cannot be asked.
    expect(await at.workers()).toBeGreaterThanOrEqual(during);
    await at.rabbitmqctl('start_app');

    const ended = await at.untilEnded(tasks);
    expect(ended.filter(({ type }) => !type.endsWith('completed'))).toEqual([]);
    await at.untilWorkers((workers) => workers === 0, 'no workers');
  });

  it('stays at zero below the activation', async () => {
    await at.upgrade('defaults.scaling.activationMessages=5');
    const few = ids('few', 3);

    await at.publish(few);

    await staysAtZero();
    await at.publish(ids('enough', 6));
    await completedAtOnce([...few, ...ids('enough', 6)]);
    await at.upgrade('defaults.scaling.activationMessages=0');
    await at.untilWorkers((workers) => workers === 0, 'no workers');
  });

  it('stays at zero, and says why, when KEDA’s password is wrong', async () => {
    await at.rabbitmqctl('change_password', 'monitor', 'another');
    const tasks = ids('unseen', 5);

    await at.publish(tasks);

    await staysAtZero();
    await at.rabbitmqctl('change_password', 'monitor', 'demo-only');
    await completedAtOnce(tasks);
    await at.untilWorkers((workers) => workers === 0, 'no workers');
  });

  it('passes its own test, from end to end', async () => {
    expect(await at.helm('test', 'darkroom', '--timeout', `${SETTINGS.timeoutS}s`)).toMatch(
      /Phase:\s+Succeeded/,
    );
  });

  it('leaves the queues when it is uninstalled', async () => {
    await at.helm('uninstall', 'darkroom', '--wait', '--timeout', `${SETTINGS.timeoutS}s`);

    const pods = await at.kubectl(
      ...words('get pods --selector app.kubernetes.io/component=worker --output name'),
    );
    expect(pods.trim()).toBe('');
    expect(await at.rabbitmqctl('list_queues', 'name', '--silent')).toContain(QUEUE);
  });
});

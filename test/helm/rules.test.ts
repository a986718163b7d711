/** Rules between values, which a schema cannot state: each broken once, by defaults and by one function. */
import { describe, expect, it } from 'vitest';
import { readConfig } from '../../runtime/config.ts';
import { photoPixels } from '../../runtime/image/limits.ts';
import { parseSize } from '../../runtime/units.ts';
import { childLimits } from '../../runtime/worker/child-memory.ts';
import { ENVIRONMENTS, get, ofKind, one, pods, render, renderFault } from '../support/chart.ts';

const TIME_CHAIN: [times: Record<string, unknown>, message: string][] = [
  [
    { task: 90 },
    'task (90 s) must be less than timeouts.drain (90 s): a task in hand must be able to finish',
  ],
  [{ task: 91 }, 'task (91 s) must be less than timeouts.drain (90 s)'],
  [{ drain: 120 }, 'drain (120 s) must be less than timeouts.grace (120 s): the worker must have drained'],
  [{ grace: 60, drain: 70 }, 'drain (70 s) must be less than timeouts.grace (60 s)'],
  [{ grace: 300 }, 'grace (300 s) must be less than scaling.cooldownPeriod (300 s): a pod must be gone'],
  [
    { consumer: 60 },
    'task (60 s) must be less than timeouts.consumer (60 s): the broker must not take a task back',
  ],
];

describe('the chain of times', () => {
  const faultWith = (path: string, times: Record<string, unknown>) =>
    renderFault({
      set: Object.fromEntries(
        Object.entries(times).map(([key, value]) => [`${path}.timeouts.${key}`, value]),
      ),
    });

  it.each(TIME_CHAIN)('refuses %j for one function, naming it', async (times, message) => {
    const fault = await faultWith('functions.blur', times);

    expect(fault).toContain(`functions.blur: timeouts.${message}`);
    expect(fault).not.toContain('functions.crop');
  });

  it.each(TIME_CHAIN)('refuses %j as a default, naming every function', async (times, message) => {
    const fault = await faultWith('defaults', times);

    for (const name of ['blur', 'crop']) expect(fault).toContain(`functions.${name}: timeouts.${message}`);
  });

  it('refuses a cooldown shorter than the grace', async () => {
    const fault = await renderFault({ set: { 'functions.blur.scaling.cooldownPeriod': 100 } });

    expect(fault).toContain('timeouts.grace (120 s) must be less than scaling.cooldownPeriod (100 s)');
  });

  it('reports every broken rule at once', async () => {
    const fault = await renderFault({
      set: { 'functions.blur.timeouts.task': 500, 'functions.crop.scaling.minReplicas': 50 },
    });

    expect(fault.match(/^ {2}- functions\./gm)).toHaveLength(2);
  });

  it('reaches the worker as the times that it checks again', async () => {
    const deployment = one(await render({ environment: 'prod' }), 'Deployment', 'darkroom-blur');
    const pod = get(deployment, 'spec.template.spec');
    const env = get(pod, 'containers.0.env') as { name: string; value: string }[];

    expect(get(pod, 'terminationGracePeriodSeconds')).toBe(180);
    expect(Object.fromEntries(env.map(({ name, value }) => [name, value]))).toMatchObject({
      TASK_TIMEOUT: '120s',
      DRAIN_TIMEOUT: '150s',
      TERMINATION_GRACE_PERIOD: '180s',
      KEDA_COOLDOWN: '600s',
      CONSUMER_TIMEOUT: '1800s',
    });
  });
});

describe('the memory of a child', () => {
  const PIXELS = 26_843_545;
  it.each([
    ['512Mi', {}],
    ['0.5Gi', {}],
    [536_870_912, {}],
    ['2Gi', { 'child.maxMemory': '384MiB' }],
    ['2Gi', { 'functions.blur.env.CHILD_MAX_MEMORY': '402653184' }],
  ])('must hold the largest photo, as the worker counts: a container of %s, %j', async (memory, more) => {
    const set = (pixels: number) => ({
      'functions.blur.slots': 1,
      'functions.blur.resources.limits.memory': memory,
      'functions.blur.resources.requests.memory': '64Mi',
      'limits.pixels': pixels,
      'limits.outputPixels': 1,
      ...more,
    });

    const fault = await renderFault({ set: set(PIXELS + 1) });

    expect(photoPixels(384 * 1_048_576)).toBe(PIXELS);
    expect(fault).toContain(
      'functions.blur: a photo of 26843546 pixels (limits.pixels, limits.outputPixels)',
    );
    expect(fault).toContain(`or set both limits to at most ${PIXELS}`);
    await expect(render({ set: set(PIXELS) })).resolves.toBeDefined();
  });

  it.each([
    [{ 'functions.info.resources.limits.memory': '512Mi' }, 'info', 'raise it to 807Mi'],
    [{ 'functions.info.resources.limits.memory': '512M' }, 'info', 'raise it to 807Mi'],
    [{ 'limits.outputPixels': 100_000_000 }, 'blur', 'child.maxMemory (1GiB): raise it to 1082MiB'],
  ])('is refused with the numbers to use: %j', async (set, name, words) => {
    const fault = await renderFault({ set: { ...set, 'defaults.resources.requests.memory': '64Mi' } });

    expect(fault).toContain(`functions.${name}: a photo of`);
    expect(fault).toContain(words);
  });

  it.each([
    [
      { slots: 2 },
      '2 slots with child.maxMemory (1GiB) each',
      'raise it to 2731Mi, or set slots to at most 1',
    ],
    [
      { slots: 3, 'resources.limits.memory': '3Gi' },
      '3 slots',
      'raise it to 4096Mi, or set slots to at most 2',
    ],
    [{ slots: 2, 'env.CHILD_MAX_MEMORY': '600MiB' }, '(600MiB)', 'or child.maxMemory to at most 576MiB'],
  ])('must fit as often as there are slots, as the worker counts: %j', async (own, what, advice) => {
    const small = { 'resources.limits.memory': '1536Mi', ...own };
    const set = Object.fromEntries(
      Object.entries(small).map(([key, value]) => [`functions.blur.${key}`, value]),
    );
    const more = { 'limits.pixels': 20_000_000, 'limits.outputPixels': 20_000_000 };

    const fault = await renderFault({ set: { ...set, ...more } });

    expect(fault).toContain('functions.blur: ');
    expect(fault).toContain(what);
    expect(fault).toContain(advice);
    const [megabytes] = /(?<=raise it to )\d+/.exec(fault) ?? [];
    await render({ set: { ...set, ...more, 'functions.blur.resources.limits.memory': `${megabytes}Mi` } });
  });

  it('is enough in every environment that ships', async () => {
    for (const environment of ENVIRONMENTS) {
      const objects = await render({ environment });
      for (const { spec } of pods(objects).filter(({ name }) => name.startsWith('Deployment'))) {
        const { env } = spec.containers[0]!;
        const container = parseSize(`${get(spec, 'containers.0.resources.limits.memory')}B`);
        const shared = ofKind(objects, 'ConfigMap').find(({ data }) => data?.LIMIT_PIXELS)!.data;
        const own = Object.fromEntries((env ?? []).map(({ name, value }) => [name, value]));

        expect(() => childLimits(readConfig({ ...shared, ...own }), container)).not.toThrow();
      }
    }
  });
});

describe('other rules between values', () => {
  it('refuses a minimum above the maximum', async () => {
    expect(await renderFault({ set: { 'functions.blur.scaling.minReplicas': 11 } })).toContain(
      'functions.blur: scaling.minReplicas (11) must not be more than scaling.maxReplicas (10)',
    );
  });

  it('refuses an outage count above the maximum', async () => {
    expect(await renderFault({ set: { 'functions.blur.scaling.outage.replicas': 11 } })).toContain(
      'scaling.outage.replicas (11) must not be more than scaling.maxReplicas (10)',
    );
  });

  it('refuses a broker that KEDA could not ask, once for all functions, unless it need not', async () => {
    const short = { 'broker.url': 'amqp://rabbitmq:5672' };
    const noUrl = { 'broker.monitor.hostKey': 'host' };

    const fault = await renderFault({ set: { ...short, ...noUrl } });

    expect(fault.match(/broker\.url: KEDA cannot find amqp:\/\/rabbitmq:5672/g)).toHaveLength(1);
    expect(fault.match(/broker\.monitor\.amqpHostKey: scaling\.wakeUp amqp needs/g)).toHaveLength(1);
    await render({ set: { ...short, ...noUrl, 'defaults.scaling.wakeUp': 'http' } });
    await render({ set: { ...short, ...noUrl, 'broker.monitor.amqpHostKey': 'uri' } });
  });

  it('refuses more slots than messages for a replica', async () => {
    const set = { 'functions.blur.slots': 6, 'functions.blur.resources.limits.memory': '8Gi' };

    expect(await renderFault({ set })).toContain(
      'functions.blur: slots (6) must not be more than scaling.messagesPerReplica (5)',
    );
  });

  it('refuses names that KEDA could not make an HPA of', async () => {
    const set = { fullnameOverride: 'a-release-with-a-name-longer-than-anyone-needs' };

    expect(await renderFault({ set })).toContain(
      'has 57 characters and must have at most 54, because KEDA puts keda-hpa- before it',
    );
  });

  it('refuses the CPU engine without a CPU request', async () => {
    const set = { 'functions.blur.scaling.engine': 'cpu', 'defaults.resources.requests': { cpu: null } };

    expect(await renderFault({ set })).toContain('scaling.engine cpu needs resources.requests.cpu');
  });

  it('refuses spot nodes only, beside an affinity of the same kind', async () => {
    const set = {
      'functions.blur.spot': { enabled: true, mode: 'require' },
      'functions.blur.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution': {
        nodeSelectorTerms: [{}],
      },
    };

    expect(await renderFault({ set })).toContain('exclude each other');
  });
});

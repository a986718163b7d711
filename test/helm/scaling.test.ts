import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ENVIRONMENTS, get, ofKind, one, type RenderOptions, render } from '../support/chart.ts';

/** The formula as KEDA evaluates it: its language and JavaScript agree on these operators. */
function evaluate(formula: string, counts: { total: number; ready: number; fresh?: number }): number {
  const names = Object.keys(counts);
  return new Function(...names, 'max', `return ${formula}`)(...Object.values(counts), Math.max);
}

interface Trigger {
  metadata: object;
  authenticationRef: object;
}

/** What is at a path of the ScaledObject of `blur`. */
async function ofBlur(path: string, options: RenderOptions = {}): Promise<unknown> {
  return get(one(await render(options), 'ScaledObject', 'darkroom-blur'), path);
}

describe('a ScaledObject', () => {
  const counted = [
    { name: 'total', metadata: { protocol: 'http', excludeUnacknowledged: 'false' } },
    { name: 'ready', metadata: { protocol: 'http', excludeUnacknowledged: 'true' } },
  ];

  it('counts over the management API what is ready and in work, and asks the queue itself what is ready', async () => {
    const triggers = (await ofBlur('spec.triggers')) as { metadata: object }[];

    expect(triggers).toMatchObject([...counted, { name: 'fresh' }]);
    expect(triggers[2]?.metadata).toEqual({
      protocol: 'amqp',
      host: 'amqp://rabbitmq.rabbitmq.svc:5672',
      vhostName: '/',
      queueName: 'darkroom.blur',
      mode: 'QueueLength',
      value: '1',
    });
    expect(await ofBlur('spec.advanced.scalingModifiers')).toMatchObject({
      target: '1',
      activationTarget: '0',
    });
  });

  it('knows the management API alone where it may not ask the queue', async () => {
    const set = { 'functions.blur.scaling.wakeUp': 'http' };

    expect(await ofBlur('spec.triggers', { set })).toMatchObject(counted);
    expect(await ofBlur('spec.triggers', { set })).toHaveLength(2);
    expect(await ofBlur('spec.advanced.scalingModifiers.formula', { set })).not.toContain('fresh');
  });

  it('states no switch as false: KEDA leaves those out when it writes the object, and upgrades conflict', async () => {
    const specWith = async (useCachedMetrics: boolean) =>
      JSON.stringify(
        await ofBlur('spec', { set: { 'defaults.scaling.useCachedMetrics': useCachedMetrics } }),
      );

    expect(await specWith(false)).not.toMatch(/:false/);
    expect(await specWith(true)).toMatch(/"useCachedMetrics":true/);
  });

  it.each([
    [1, 1, 0],
    [1, 5, 0],
    [1, 10, 7],
    [4, 4, 0],
    [3, 20, 7],
  ])(
    'never asks for fewer workers than the tasks in hand fill: %i slots, %i messages a replica, activation at %i',
    async (slots, messages, activation) => {
      const set = {
        'functions.blur.slots': slots,
        'functions.blur.resources.limits.memory': '8Gi',
        'functions.blur.scaling.messagesPerReplica': messages,
        'functions.blur.scaling.activationMessages': activation,
      };
      const formula = String(await ofBlur('spec.advanced.scalingModifiers.formula', { set }));

      fc.assert(
        fc.property(fc.nat(10_000), fc.nat(500), fc.nat(10_000), (ready, busy, fresh) => {
          const result = evaluate(formula, { total: ready + busy, ready, fresh });
          const waiting = Math.max(ready, fresh);
          // KEDA cuts it to thousandths, and the HPA rounds up.
          expect(Math.ceil(Math.trunc(result * 1_000) / 1_000)).toBeGreaterThanOrEqual(
            Math.ceil(busy / slots),
          );
          expect(result).toBeLessThanOrEqual(Math.max(busy / slots, (waiting + busy) / messages));
          // At zero KEDA would count the queue as idle; that may only be when nobody works.
          if (busy > 0) expect(result).toBeGreaterThan(0);
          if (busy === 0) expect(result > 0).toBe(waiting > activation);
        }),
      );
    },
  );

  it('has an HPA behaviour of its own and a name within its limit', async () => {
    for (const environment of ENVIRONMENTS) {
      for (const scaledObject of ofKind(await render({ environment }), 'ScaledObject')) {
        const hpa = get(scaledObject, 'spec.advanced.horizontalPodAutoscalerConfig');
        expect(String(get(hpa, 'name')).length).toBeLessThanOrEqual(63);
        expect(get(hpa, 'behavior.scaleDown.stabilizationWindowSeconds')).toBeGreaterThanOrEqual(30);
        expect(get(hpa, 'behavior.scaleUp.policies')).not.toHaveLength(0);
      }
    }
  });

  it('freezes during an outage by default: no fallback, so no count to fall back to', async () => {
    expect(await ofBlur('spec')).not.toHaveProperty('fallback');
  });

  it('keeps at least so many during an outage where that is asked for, and never zero', async () => {
    for (const scaledObject of ofKind(await render({ environment: 'prod' }), 'ScaledObject')) {
      expect(get(scaledObject, 'spec.fallback')).toEqual({
        failureThreshold: 6,
        behavior: 'currentReplicasIfHigher',
        replicas: 2,
      });
    }
  });

  it('logs in with the monitor’s own secret, over TLS where the management API has it', async () => {
    const objects = await render({ environment: 'prod' });
    const authentication = one(objects, 'TriggerAuthentication', 'darkroom-broker-monitor');
    const parameters = get(authentication, 'spec.secretTargetRef') as { parameter: string; name: string }[];

    expect(parameters).toEqual([
      { parameter: 'username', name: 'darkroom-broker-monitor', key: 'username' },
      { parameter: 'password', name: 'darkroom-broker-monitor', key: 'password' },
      { parameter: 'ca', name: 'darkroom-broker-tls', key: 'ca.crt' },
    ]);
    expect(get(authentication, 'spec.configMapTargetRef.0.parameter')).toBe('tls');
    expect(one(objects, 'ConfigMap', 'darkroom-broker-monitor').data).toEqual({ tls: 'enable' });
  });

  it('takes the whole URLs from the secret where they are given', async () => {
    const set = { 'broker.monitor.hostKey': 'host', 'broker.monitor.amqpHostKey': 'uri' };
    const objects = await render({ set });

    for (const [trigger, name, key] of [
      [0, 'darkroom-broker-monitor', 'host'],
      [2, 'darkroom-broker-monitor-amqp', 'uri'],
    ] as const) {
      const { metadata, authenticationRef } = (await ofBlur(`spec.triggers.${trigger}`, { set })) as Trigger;
      expect(metadata).not.toHaveProperty('host');
      expect(authenticationRef).toEqual({ name });
      expect(get(one(objects, 'TriggerAuthentication', name), 'spec.secretTargetRef')).toEqual([
        { parameter: 'host', name: 'darkroom-broker-monitor', key },
      ]);
    }
  });

  it('knows the broker’s CA where either way to it has TLS', async () => {
    const set = { 'broker.url': 'amqps://rabbitmq.rabbitmq.svc:5671', 'broker.tls.existingSecret': 'tls' };
    const tlsOf = async (more: object) =>
      get(
        one(await render({ set: { ...set, ...more } }), 'TriggerAuthentication', 'darkroom-broker-monitor'),
        'spec.configMapTargetRef',
      );

    expect(await tlsOf({})).toHaveLength(1);
    expect(await tlsOf({ 'defaults.scaling.wakeUp': 'http' })).toBeUndefined();
  });
});

describe('other engines', () => {
  it('cpu: a plain HPA from one replica, and no ScaledObject', async () => {
    const objects = await render({ set: { 'defaults.scaling.engine': 'cpu' } });

    const hpa = one(objects, 'HorizontalPodAutoscaler', 'darkroom-blur');
    expect(hpa.spec).toMatchObject({ minReplicas: 1, maxReplicas: 10 });
    expect(ofKind(objects, 'ScaledObject')).toEqual([]);
    expect(ofKind(objects, 'TriggerAuthentication')).toEqual([]);
  });

  it('none: neither', async () => {
    const objects = await render({ set: { 'functions.blur.scaling.engine': 'none' } });

    expect(ofKind(objects, 'HorizontalPodAutoscaler')).toEqual([]);
    expect(ofKind(objects, 'ScaledObject')).toHaveLength(13);
  });
});

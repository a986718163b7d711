import { describe, expect, it } from 'vitest';
import { ENVIRONMENTS, helm, renderFault, valueArguments } from '../support/chart.ts';

/** path, value that is refused, and what helm's message must contain. */
const REFUSED: [why: string, set: Record<string, unknown>, message: string][] = [
  [
    'AMQP for counting: it would scale to zero under a running task',
    { 'defaults.scaling.protocol': 'amqp' },
    "'http'",
  ],
  [
    'AMQP for one function',
    { 'functions.blur.scaling.protocol': 'amqp' },
    '/functions/blur/scaling/protocol',
  ],
  [
    'AMQP together with a fallback',
    { 'defaults.scaling.protocol': 'amqp', 'defaults.scaling.outage.policy': 'atLeast' },
    "'http'",
  ],
  ['a wake-up that nobody knows', { 'defaults.scaling.wakeUp': 'push' }, "'amqp', 'http'"],
  ['streams, whose length never falls', { 'broker.queueType': 'stream' }, "'quorum'"],
  ['classic queues', { 'broker.queueType': 'classic' }, "'quorum'"],
  ['an outage that scales to zero', { 'defaults.scaling.outage.replicas': 0 }, 'minimum: got 0, want 1'],
  ['an outage policy that nobody knows', { 'defaults.scaling.outage.policy': 'zero' }, "'freeze', 'atLeast'"],
  [
    'a scale-in window too short for two readings',
    { 'defaults.scaling.behavior.scaleDown.stabilizationWindowSeconds': 0 },
    'want 30',
  ],
  ['replicas, which belong to the autoscaler', { 'functions.blur.replicas': 3 }, "'replicas' not allowed"],
  ['an unknown key at the top', { replicaCount: 1 }, "'replicaCount' not allowed"],
  ['an unknown key of a function', { 'functions.blur.scalling': {} }, "'scalling' not allowed"],
  [
    'an unknown key of the defaults',
    { 'defaults.scaling.minReplicaCount': 1 },
    "'minReplicaCount' not allowed",
  ],
  ['an unknown key of the broker', { 'broker.host': 'rabbit' }, "'host' not allowed"],
  ['an unknown key of the storage', { 'storage.bucket': 'b' }, "'bucket' not allowed"],
  ['no maximum', { 'defaults.scaling.maxReplicas': 0 }, 'want 1'],
  ['no slots', { 'defaults.slots': 0 }, 'want 1'],
  [
    'more messages a replica than would wake one',
    { 'defaults.scaling.messagesPerReplica': 1001 },
    'want 1,000',
  ],
  ['carrying that nobody knows', { 'functions.blur.carry': 'heavy' }, "'none', 'light', 'all'"],
  ['slots as environment', { 'defaults.env.SLOTS': 2 }, "invalid propertyName 'SLOTS'"],
  ['half a message', { 'defaults.scaling.messagesPerReplica': 0.5 }, 'got number, want integer'],
  ['a duration where seconds are asked for', { 'defaults.timeouts.task': '60s' }, 'got string, want integer'],
  ['an unknown engine', { 'defaults.scaling.engine': 'hpa' }, "'keda', 'cpu', 'none'"],
  ['a function named as YAML writes truth', { 'functions.true': {} }, "invalid propertyName 'true'"],
  [
    'a function whose queue is the dead-letter queue',
    { 'functions.dead': {} },
    "invalid propertyName 'dead'",
  ],
  ['a function with capitals', { 'functions.Blur': {} }, "invalid propertyName 'Blur'"],
  ['a password in the broker URL', { 'broker.url': 'amqp://user:secret@rabbitmq' }, '/broker/url'],
  [
    'a password in the management URL',
    { 'broker.managementUrl': 'http://user:secret@rabbitmq' },
    '/broker/managementUrl',
  ],
  [
    'a management service that KEDA could not find from its own namespace',
    { 'broker.managementUrl': 'http://rabbitmq:15672' },
    '/broker/managementUrl',
  ],
  ['a client certificate login without a certificate', { 'broker.auth': 'external' }, '/broker/tls'],
  [
    'file storage without the volume that workers share',
    { 'storage.url': 'file:///data' },
    '/storage/volume/enabled',
  ],
  [
    'file storage beside the volume',
    { 'storage.url': 'file:///tmp/x', 'storage.volume.enabled': true },
    '/storage/url',
  ],
  ['a bucket that cannot be', { 'storage.url': 's3://ab/prefix' }, '/storage/url'],
  ['an input bucket that cannot be', { 'storage.buckets': ['ab'] }, '/storage/buckets'],
  ['a URL for a host', { 'httpsInputs.hosts': ['https://images.example'] }, '/httpsInputs/hosts'],
  [
    'environment that the chart itself sets',
    { 'defaults.env.FUNCTION': 'blur' },
    "invalid propertyName 'FUNCTION'",
  ],
  ['a digest that is none', { 'defaults.image.digest': 'latest' }, '/defaults/image/digest'],
  [
    'a digest of the demo broker that is none',
    { 'demoBroker.imageDigest': 'latest' },
    '/demoBroker/imageDigest',
  ],
  [
    'a promise of the storage that is no yes or no',
    { 'storage.requireConditionalWrites': 'yes' },
    'want boolean',
  ],
  [
    'External Secrets without a store',
    { 'externalSecrets.enabled': true },
    '/externalSecrets/secretStoreRef/name',
  ],
  [
    'App Configuration without an endpoint',
    { 'azureAppConfiguration.enabled': true },
    '/azureAppConfiguration/endpoint',
  ],
  ['an unknown topology mode', { 'topology.mode': 'manual' }, "'job', 'operator', 'none'"],
  ['scraping that anyone may do', { 'networkPolicy.scraping.from': [] }, 'minItems'],
];

describe('values.schema.json', () => {
  it.each(REFUSED)('refuses %s', async (_why, set, message) => {
    expect(await renderFault({ set })).toContain(message);
  });

  it('allows what Helm itself passes to a chart', async () => {
    const output = await helm(
      'lint',
      '--strict',
      ...valueArguments({ set: { 'global.imageRegistry': 'x' } }),
    );

    expect(output).toContain('0 chart(s) failed');
  });

  it('is the same for each environment', async () => {
    for (const environment of ENVIRONMENTS) {
      expect(await renderFault({ environment, set: { unknown: 1 } })).toContain("'unknown' not allowed");
    }
  });
});

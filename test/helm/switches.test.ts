import { describe, expect, it } from 'vitest';
import {
  get,
  helm,
  type KubeObject,
  ofKind,
  one,
  pods,
  render,
  renderText,
  valueArguments,
} from '../support/chart.ts';
import { modelFaults } from '../support/kube-models.ts';
import { podSecurityFaults } from '../support/pod-security.ts';
import { SWITCH_NAMES, turned } from './switches.ts';

describe('every switch', () => {
  it.each(SWITCH_NAMES)('%s: lints and keeps to restricted Pod Security', async (name) => {
    const set = turned(name);
    const [lint, objects] = await Promise.all([
      helm('lint', '--strict', ...valueArguments({ set })),
      render({ set }),
    ]);

    expect(lint).toContain('0 chart(s) failed');
    const faults = pods(objects).flatMap(({ name, spec }) =>
      podSecurityFaults(spec).map((fault) => `${name}: ${fault}`),
    );
    expect(faults).toEqual([]);
  });

  it('keeps to the schemas of Kubernetes, KEDA, Prometheus and External Secrets', async () => {
    const renders = await Promise.all(SWITCH_NAMES.map((name) => render({ set: turned(name) })));

    expect(await modelFaults(renders.flat())).toEqual([]);
  });
});

function worker(objects: KubeObject[]) {
  return get(one(objects, 'Deployment', 'darkroom-blur'), 'spec.template');
}

const by = (name: (typeof SWITCH_NAMES)[number]) => render({ set: turned(name) });

describe('a switch does what it says', () => {
  it('demo broker: the release brings RabbitMQ, its users and secrets, and declares after it', async () => {
    const objects = await by('demo broker');

    expect(one(objects, 'ConfigMap', 'darkroom-environment').data).toMatchObject({
      AMQP_URL: 'amqp://darkroom-demo-broker.darkroom.svc:5672/%2F',
      AMQP_MANAGEMENT_URL: 'http://darkroom-demo-broker.darkroom.svc:15672',
      // Its admin replays dead letters, whom the workers then believe.
      TRUSTED_USERS: 'darkroom-admin,admin',
    });
    expect(ofKind(objects, 'Secret').map(({ metadata }) => metadata.name)).toContain('darkroom-demo-worker');
    // Not a hook after the release, which `helm --wait` would never come to: nothing is ready without queues.
    for (const [kind, name] of [
      ['Job', 'darkroom-topology-1'],
      ['ServiceAccount', 'darkroom-topology'],
      ['NetworkPolicy', 'darkroom-topology'],
    ] as const) {
      expect(one(objects, kind, name).metadata.annotations?.['helm.sh/hook']).toBeUndefined();
    }
    expect(one(objects, 'ScaledObject', 'darkroom-blur').spec).toMatchObject({
      triggers: [
        { metadata: { host: 'http://darkroom-demo-broker.darkroom.svc:15672/' } },
        {},
        { metadata: { host: 'amqp://darkroom-demo-broker.darkroom.svc:5672' } },
      ],
    });
  });

  it('demo broker: off in staging and production', async () => {
    for (const environment of ['staging', 'prod'] as const) {
      expect(await renderText({ environment })).not.toContain('demo-broker');
    }
  });

  it('spot preferred: tolerates every cloud’s spot nodes and asks for them first', async () => {
    const spec = get(worker(await by('spot preferred')), 'spec');

    expect((get(spec, 'tolerations') as { key: string }[]).map(({ key }) => key)).toEqual([
      'kubernetes.azure.com/scalesetpriority',
      'eks.amazonaws.com/capacityType',
      'karpenter.sh/capacity-type',
      'cloud.google.com/gke-spot',
    ]);
    expect(get(spec, 'affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution')).toHaveLength(
      4,
    );
  });

  it('spot required: one of the four labels must be there', async () => {
    const required =
      'spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms';

    expect(get(worker(await by('spot required')), required)).toHaveLength(4);
  });

  it('mutual TLS: mounts the certificate, and no password', async () => {
    const objects = await by('mutual TLS');
    const volumes = get(worker(objects), 'spec.volumes') as { name: string }[];

    expect(volumes.map(({ name }) => name)).toEqual(['tmp', 'tls']);
    expect(one(objects, 'ConfigMap', 'darkroom-environment').data).toMatchObject({
      AMQP_AUTH: 'external',
      AMQP_CA_FILE: '/etc/darkroom/tls/ca.crt',
      AMQP_CERT_FILE: '/etc/darkroom/tls/tls.crt',
      AMQP_KEY_FILE: '/etc/darkroom/tls/tls.key',
    });
  });

  it('workload identity: annotates the account and labels the pods', async () => {
    const objects = await by('workload identity');

    expect(one(objects, 'ServiceAccount', 'darkroom-worker').metadata.annotations).toHaveProperty([
      'azure.workload.identity/client-id',
    ]);
    expect(get(worker(objects), 'metadata.labels')).toMatchObject({ 'azure.workload.identity/use': 'true' });
  });

  it('image by digest: pins it everywhere', async () => {
    const images = pods(await by('image by digest, with a pull secret')).map(
      ({ spec }) => spec.containers[0]?.image,
    );

    expect(new Set(images)).toEqual(new Set([`darkroom@sha256:${'0'.repeat(64)}`]));
  });

  it('image of the demo broker by digest: pins it', async () => {
    const imageDigest = `sha256:${'a'.repeat(64)}`;
    const set = { ...turned('demo broker'), 'demoBroker.imageDigest': imageDigest };

    const broker = one(await render({ set }), 'StatefulSet', 'darkroom-demo-broker');

    expect(get(broker, 'spec.template.spec.containers.0.image')).toBe(`rabbitmq:4-management@${imageDigest}`);
  });

  it('External Secrets: fills the very secrets that the pods mount', async () => {
    const objects = await by('External Secrets');

    expect(ofKind(objects, 'ExternalSecret').map(({ metadata }) => metadata.name)).toEqual([
      'darkroom-broker-worker',
      'darkroom-broker-admin',
      'darkroom-broker-monitor',
      'darkroom-storage',
    ]);
  });

  it('Azure App Configuration: the store’s keys lie under what the chart checked', async () => {
    const objects = await by('Azure App Configuration');

    expect(one(objects, 'AzureAppConfigurationProvider', 'darkroom-app-configuration').spec).toMatchObject({
      endpoint: 'https://darkroom.azconfig.io',
      target: { configMapName: 'darkroom-app-configuration' },
      configuration: { trimKeyPrefixes: ['darkroom:'], refresh: { enabled: true } },
    });
    expect(get(worker(objects), 'spec.containers.0.envFrom')).toEqual([
      { configMapRef: { name: 'darkroom-environment' } },
      { configMapRef: { name: 'darkroom-app-configuration' } },
      { secretRef: { name: 'darkroom-key-vault' } },
    ]);
  });

  it('changed settings replace the pods, by a checksum', async () => {
    const checksum = async (set: Record<string, unknown>) =>
      get(worker(await render({ set })), 'metadata.annotations.checksum/config');

    expect(await checksum({ logLevel: 'debug' })).not.toBe(await checksum({}));
    expect(await checksum({ 'smokeTest.enabled': false })).toBe(await checksum({}));
  });

  it('extra objects go through the template engine', async () => {
    expect(one(await by('extras'), 'ConfigMap', 'darkroom-more').data).toEqual({ a: 'b' });
  });
});

import { describe, expect, it } from 'vitest';
import {
  ENVIRONMENTS,
  get,
  type KubeObject,
  ofKind,
  one,
  pods,
  render,
  renderText,
} from '../support/chart.ts';
import { podSecurityFaults } from '../support/pod-security.ts';

const environments = [undefined, ...ENVIRONMENTS];

describe.each(environments)('pods of %s', (environment) => {
  it('keep to the restricted Pod Security profile, with sized scratch space', async () => {
    const all = pods(await render({ environment }));

    expect(all.length).toBeGreaterThan(14);
    expect(
      all.flatMap(({ name, spec }) => podSecurityFaults(spec).map((fault) => `${name}: ${fault}`)),
    ).toEqual([]);
  });

  it('are all under the default-deny policy', async () => {
    const objects = await render({ environment });
    const deny = one(objects, 'NetworkPolicy', 'darkroom-default-deny');

    expect(deny.spec).toMatchObject({ policyTypes: ['Ingress', 'Egress'] });
    expect(deny.spec).not.toHaveProperty('ingress');
    expect(deny.spec).not.toHaveProperty('egress');
    for (const { labels } of pods(objects))
      expect(labels).toMatchObject(get(deny, 'spec.podSelector.matchLabels') as object);
  });

  it('hold a token only to mark their own deletion cost', async () => {
    const tokens = pods(await render({ environment })).filter(
      ({ spec }) => spec.automountServiceAccountToken === true,
    );

    for (const { spec } of tokens) {
      expect(spec.containers[0]?.env).toContainEqual({ name: 'POD_DELETION_COST', value: 'true' });
    }
  });

  it('name no secret in plain sight', async () => {
    for (const { data } of ofKind(await render({ environment }), 'ConfigMap')) {
      expect(JSON.stringify(data ?? {})).not.toMatch(/:\/\/[^/"]*:[^/"]*@/);
    }
  });
});

describe('rights', () => {
  it('are to patch pods of the namespace, and nothing more', async () => {
    const roles = ofKind(await render(), 'Role');

    expect(roles.map(({ metadata }) => metadata.name)).toEqual(['darkroom-deletion-cost']);
    expect(get(roles[0], 'rules')).toEqual([{ apiGroups: [''], resources: ['pods'], verbs: ['patch'] }]);
    expect(ofKind(await render(), 'ClusterRole')).toEqual([]);
  });

  it('go away with the switch', async () => {
    const objects = await render({ set: { 'defaults.deletionCost': false } });

    expect(ofKind(objects, 'Role')).toEqual([]);
    expect(pods(objects).filter(({ spec }) => spec.automountServiceAccountToken !== false)).toEqual([]);
  });

  it('can be held to the own pod by an admission policy', async () => {
    const objects = await render({ set: { 'serviceAccount.restrictToOwnPod': true } });
    const policy = one(objects, 'ValidatingAdmissionPolicy', 'darkroom-deletion-cost-darkroom');

    expect(get(policy, 'spec.matchConditions.0.expression')).toContain(
      'system:serviceaccount:darkroom:darkroom-worker',
    );
    expect(get(policy, 'spec.failurePolicy')).toBe('Fail');
  });

  it('are given to accounts of the release’s own', async () => {
    const objects = await render();

    expect(
      ofKind(objects, 'ServiceAccount')
        .map(({ metadata }) => metadata.name)
        .sort(),
    ).toEqual(['darkroom-smoke-test', 'darkroom-topology', 'darkroom-worker']);
    const used = pods(objects).map(({ spec }) => spec.serviceAccountName);
    expect(new Set(used)).toEqual(new Set(['darkroom-worker', 'darkroom-topology', 'darkroom-smoke-test']));
  });
});

describe('network policies', () => {
  const ports = (objects: KubeObject[], name: string) => {
    const rules = get(one(objects, 'NetworkPolicy', name), 'spec.egress') as { ports: { port: number }[] }[];
    return rules.flatMap((rule) => rule.ports.map(({ port }) => port));
  };

  it('let workers reach DNS, the broker, storage and the Kubernetes API, and no other port', async () => {
    expect(ports(await render(), 'darkroom-worker')).toEqual([
      53, 53, 5671, 5672, 15671, 15672, 443, 443, 6443,
    ]);
  });

  it('close what is not in use', async () => {
    const objects = await render({ environment: 'dev', set: { 'defaults.deletionCost': false } });

    expect(ports(objects, 'darkroom-worker')).toEqual([53, 53, 5672, 15672]);
  });

  it('let only the monitoring namespace in, and only to the metrics', async () => {
    expect(get(one(await render(), 'NetworkPolicy', 'darkroom-worker'), 'spec.ingress')).toEqual([
      {
        ports: [{ port: 9090, protocol: 'TCP' }],
        from: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } }],
      },
    ]);
  });

  it('of the hooks are hooks themselves, there before the job and gone after it', async () => {
    const objects = await render();
    const hook = (kind: string) => one(objects, kind, 'darkroom-topology').metadata.annotations;

    expect(hook('NetworkPolicy')?.['helm.sh/hook']).toBe(hook('Job')?.['helm.sh/hook']);
    expect(Number(hook('NetworkPolicy')?.['helm.sh/hook-weight'])).toBeLessThan(
      Number(hook('Job')?.['helm.sh/hook-weight']),
    );
  });
});

describe('secrets', () => {
  it('are the environment’s own, except in the demo', async () => {
    for (const environment of ['staging', 'prod'] as const) {
      expect(ofKind(await render({ environment }), 'Secret')).toEqual([]);
      expect(await renderText({ environment })).not.toContain('demo-only');
    }
  });

  it('differ by role: workers, the topology job and KEDA each have their own', async () => {
    const objects = await render();
    const mounted = (kind: string, name: string) => {
      const owner = one(objects, kind, name);
      const volumes = get(owner, 'spec.template.spec.volumes') as { secret?: { secretName: string } }[];
      return volumes.flatMap(({ secret }) => (secret === undefined ? [] : [secret.secretName]));
    };

    expect(mounted('Deployment', 'darkroom-blur')).toEqual(['darkroom-broker-worker']);
    expect(mounted('Job', 'darkroom-topology')).toEqual(['darkroom-broker-admin']);
  });
});

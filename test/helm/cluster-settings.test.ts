/** What can be held of the end-to-end steps without a cluster: that what they install renders and fits together. */
import { describe, expect, it } from 'vitest';
import { FILTER, releaseSettings } from '../e2e/cluster.ts';
import {
  CHART,
  get,
  helm,
  NAMESPACE,
  ofKind,
  one,
  parseManifests,
  RELEASE,
  render,
} from '../support/chart.ts';
import { modelFaults } from '../support/kube-models.ts';

describe('the release that the end-to-end steps install', () => {
  it('finds the broker beside it, and its secrets', async () => {
    const set = releaseSettings(NAMESPACE).flatMap((setting) => ['--set', setting]);
    const values = ['--namespace', NAMESPACE, '--values', `${CHART}/values-dev.yaml`, ...set];
    const release = parseManifests(await helm('template', RELEASE, CHART, ...values));
    const broker = await render({ environment: 'dev' });

    const service = one(broker, 'Service', `${RELEASE}-demo-broker`).metadata.name;
    const secrets = ofKind(broker, 'Secret').map(({ metadata }) => metadata.name);
    const trigger = get(one(release, 'ScaledObject', `${RELEASE}-${FILTER}`), 'spec.triggers.0.metadata');
    const credentials = get(
      one(release, 'TriggerAuthentication', `${RELEASE}-broker-monitor`),
      'spec.secretTargetRef.0.name',
    );
    expect(get(trigger, 'host')).toBe(`http://${service}.${NAMESPACE}.svc:15672/`);
    expect(secrets).toContain(credentials);
    expect(ofKind(release, 'StatefulSet')).toEqual([]);
    expect(await modelFaults(release)).toEqual([]);
  });
});

import { describe, expect, it } from 'vitest';
import { ENVIRONMENTS, render } from '../support/chart.ts';
import { modelFaults } from '../support/kube-models.ts';

describe('the check against published schemas', () => {
  const object = (spec: object) => [
    { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'd' }, spec: { ...spec } },
  ];
  const right = { selector: {}, template: { spec: { containers: [{ name: 'c' }] } } };

  it('accepts what is right, and refuses unknown keys, wrong values and missing parts', async () => {
    const faults = await Promise.all([
      modelFaults(object(right)),
      modelFaults(object({ ...right, replica: 1 })),
      modelFaults(object({ ...right, minReadySeconds: 'ten' })),
      modelFaults(object({ selector: {} })),
    ]);

    expect(faults[0]).toEqual([]);
    expect(faults[1]?.join()).toContain(`'"replica"' does not exist`);
    expect(faults[2]?.join()).toContain('must be integer');
    expect(faults[3]?.join()).toContain('template');
  });
});

describe('what the chart makes', () => {
  it('keeps to the schemas of Kubernetes, KEDA and Prometheus in every environment', async () => {
    const renders = await Promise.all(
      [undefined, ...ENVIRONMENTS].map((environment) => render({ environment })),
    );

    expect(await modelFaults(renders.flat())).toEqual([]);
  });
});

/** One queue, Deployment and ScaledObject per function, and how defaults and overrides meet. */
import { describe, expect, it } from 'vitest';
import { functionNames, loadValues } from '../../keda/values.ts';
import { listFunctions } from '../../runtime/functions.ts';
import { CHART, ENVIRONMENTS, get, ofKind, one, render } from '../support/chart.ts';
import { differences } from './differences.ts';
import { FEWER } from './switches.ts';

describe('functions', () => {
  it('are the files in functions/, no more and no fewer, in every environment', () => {
    for (const file of ['values', ...ENVIRONMENTS.map((environment) => `values-${environment}`)]) {
      expect(functionNames(loadValues([`${CHART}/${file}.yaml`])).sort()).toEqual(listFunctions());
    }
  });

  it('each get a Deployment, a ScaledObject and a disruption budget, labelled with the filter', async () => {
    const objects = await render();

    for (const kind of ['Deployment', 'ScaledObject', 'PodDisruptionBudget']) {
      const filters = ofKind(objects, kind).map(({ metadata }) => metadata.labels?.['darkroom.filter']);
      expect(filters.sort()).toEqual(listFunctions());
    }
  });

  it('read their own queue and run under their own name', async () => {
    const objects = await render({ set: { 'broker.prefix': 'photos' } });

    const scaledObject = one(objects, 'ScaledObject', 'darkroom-blur');
    const deployment = one(objects, 'Deployment', 'darkroom-blur');
    expect(get(scaledObject, 'spec.triggers.0.metadata.queueName')).toBe('photos.blur');
    expect(get(scaledObject, 'spec.scaleTargetRef.name')).toBe('darkroom-blur');
    expect(get(deployment, 'spec.template.spec.containers.0.env')).toContainEqual({
      name: 'FUNCTION',
      value: 'blur',
    });
  });

  it('merge with the defaults key by key, false and 0 included', async () => {
    const objects = await render({
      set: {
        'defaults.scaling.minReplicas': 2,
        'functions.blur.scaling.minReplicas': 0,
        'functions.blur.deletionCost': false,
        'functions.blur.env.LOG_LEVEL': 'debug',
        'defaults.env.INPUT_GRACE': '2m',
      },
    });

    expect(get(one(objects, 'ScaledObject', 'darkroom-blur'), 'spec.minReplicaCount')).toBe(0);
    expect(get(one(objects, 'ScaledObject', 'darkroom-crop'), 'spec.minReplicaCount')).toBe(2);
    const blur = get(one(objects, 'Deployment', 'darkroom-blur'), 'spec.template.spec');
    expect(get(blur, 'automountServiceAccountToken')).toBe(false);
    expect(get(blur, 'containers.0.env')).toEqual(
      expect.arrayContaining([
        { name: 'POD_DELETION_COST', value: 'false' },
        { name: 'INPUT_GRACE', value: '2m' },
        { name: 'LOG_LEVEL', value: 'debug' },
      ]),
    );
  });

  it('differ by their names only, and add nothing to what they share', async () => {
    expect(differences(await render({ set: FEWER }), await render())).toEqual({});
  });

  it('can be left out, by enabled: false or by null', async () => {
    const objects = await render({ set: { 'functions.blur.enabled': false, 'functions.crop': null } });

    const names = ofKind(objects, 'Deployment').map(({ metadata }) => metadata.labels?.['darkroom.filter']);
    expect(names.sort()).toEqual(listFunctions().filter((name) => name !== 'blur' && name !== 'crop'));
  });

  it('never state a number of replicas', async () => {
    for (const environment of [undefined, ...ENVIRONMENTS]) {
      for (const object of await render({ environment }))
        expect(object.spec ?? {}).not.toHaveProperty('replicas');
    }
  });
});

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { settingsFromValues } from '../../keda/model.ts';
import { functionNames, loadValues, mergeValues } from '../../keda/values.ts';
import { UserError } from '../../runtime/errors.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const CHART_VALUES = fileURLToPath(new URL('../../helm/values.yaml', import.meta.url));

describe('values merge as Helm merges them', () => {
  test('maps merge, lists and scalars replace, null takes a key away', () => {
    const base = { a: { kept: 1, changed: 1 }, list: [1, 2], gone: { x: 1 }, scalar: 1 };
    const over = { a: { changed: 2 }, list: [3], gone: null, scalar: { now: 'a map' } };
    expect(mergeValues(base, over)).toEqual({
      a: { kept: 1, changed: 2 },
      list: [3],
      scalar: { now: 'a map' },
    });
  });

  test('values.yaml beside the first file comes first, later files win', async () => {
    await using folder = await temporaryFolder();
    const write = async (name: string, text: string) => {
      const file = path.join(folder.path, name);
      await writeFile(file, text);
      return file;
    };
    await write(
      'values.yaml',
      'defaults: { scaling: { maxReplicas: 3, minReplicas: 1 } }\nfunctions: { blur: {} }',
    );
    const prod = await write('values-prod.yaml', 'defaults: { scaling: { maxReplicas: 30 } }');
    const extra = await write('extra.yaml', 'functions: { blur: { scaling: { maxReplicas: 50 } } }');
    const settings = settingsFromValues(loadValues([prod, extra]), 'blur');
    expect(settings).toMatchObject({ minReplicas: 1, maxReplicas: 50 });
    expect(settingsFromValues(loadValues([prod]), '').maxReplicas).toBe(30);
  });

  test.each([
    ['a list', '- 1', /holds no map/],
    ['broken YAML', 'a: [', /cannot read the values file/],
  ])('%s is a mistake that names the file', async (_what, text, message) => {
    await using folder = await temporaryFolder();
    const file = path.join(folder.path, 'broken.yaml');
    await writeFile(file, text);
    expect(() => loadValues([file])).toThrow(message);
    expect(() => loadValues([file])).toThrow(UserError);
  });
});

describe('settings', () => {
  test('of the chart itself can be read for every function', () => {
    const values = loadValues([CHART_VALUES]);
    expect(functionNames(values).length).toBeGreaterThan(10);
    for (const name of functionNames(values)) {
      expect(settingsFromValues(values, name)).toMatchObject({
        minReplicas: 0,
        metric: 'busy-floor',
        fallback: null,
      });
    }
  });

  test('seconds become milliseconds and an outage policy becomes a fallback', () => {
    const scaling = {
      pollingInterval: 7,
      cooldownPeriod: 120,
      outage: { policy: 'atLeast', replicas: 2, failureThreshold: 4 },
      behavior: { scaleDown: { stabilizationWindowSeconds: 60, tolerance: 0.05 } },
    };
    expect(settingsFromValues({ defaults: { scaling } }, '')).toMatchObject({
      pollingIntervalMs: 7_000,
      cooldownMs: 120_000,
      fallback: { failureThreshold: 4, replicas: 2, behavior: 'currentReplicasIfHigher' },
      behavior: { scaleDown: { stabilizationWindowMs: 60_000 } },
      tolerance: { scaleUp: 0.1, scaleDown: 0.05 },
    });
  });

  test('slots stand beside scaling, by default or for one function', () => {
    const values = { defaults: { slots: 2 }, functions: { blur: { slots: 4 }, crop: {} } };
    expect(['blur', 'crop', ''].map((name) => settingsFromValues(values, name).slots)).toEqual([4, 2, 2]);
    expect(settingsFromValues({}, '').slots).toBe(1);
    expect(() => settingsFromValues({ defaults: { slots: 0 } }, '')).toThrow(
      'defaults.slots: expected a whole number of 1 or more, got 0',
    );
  });

  test('a fallback of 0 is never made: KEDA would scale to zero in an outage', () => {
    const scaling = { outage: { policy: 'atLeast', replicas: 0 } };
    expect(settingsFromValues({ defaults: { scaling } }, '').fallback?.replicas).toBe(1);
  });

  test('an empty behavior is none, as the HPA sees it', () => {
    expect(settingsFromValues({ defaults: { scaling: { behavior: {} } } }, '').behavior).toBeNull();
  });

  test('an unknown function gets the nearest name, a disabled one is not there', () => {
    const values = { functions: { blur: {}, sharpen: { enabled: false } } };
    expect(() => settingsFromValues(values, 'blurr')).toThrow(
      'no function blurr in the values: did you mean blur?',
    );
    expect(functionNames(values)).toEqual(['blur']);
  });

  test.each([
    [{ maxReplicas: 0 }, /defaults\.scaling\.maxReplicas: expected a whole number of 1 or more, got 0/],
    [{ minReplicas: 5, maxReplicas: 2 }, /minReplicas 5 is above maxReplicas 2/],
    [{ pollingInterval: 'soon' }, /pollingInterval: expected a number above 0, got "soon"/],
    [{ outage: { policy: 'panic' } }, /outage\.policy: expected one of freeze, atLeast, got "panic"/],
    [{ engine: 'cpu' }, /engine keda only/],
  ])('%j is refused in words', (scaling, message) => {
    expect(() => settingsFromValues({ defaults: { scaling } }, '')).toThrow(message);
  });
});

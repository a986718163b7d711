import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { settingsFromValues } from '../../keda/model.ts';
import { suggestionSentences } from '../../keda/report/findings.ts';
import { valuesSnippet } from '../../keda/simulator/values-snippet.ts';
import { type Load, parseServiceTime, profileLoad, simulate } from '../../keda/simulator.ts';
import { suggest } from '../../keda/suggest.ts';
import { mergeValues, type Values } from '../../keda/values.ts';

const HOUR = 3_600_000;
const VALUES: Values = {
  defaults: { scaling: { maxReplicas: 10, messagesPerReplica: 5 } },
  functions: { blur: {} },
};
const settings = settingsFromValues(VALUES, 'blur');
const service = parseServiceTime('800ms,p95=2s');
const burst = profileLoad('burst', 2_000, HOUR, 1);
const suggestFor = (load: Load, targetWaitP95Ms: number) =>
  suggest({ settings, load, service, targetWaitP95Ms });

describe('suggested settings', () => {
  test('meet the target, where the present ones do not', () => {
    const { best, current } = suggestFor(burst, 120_000);
    expect(current.summary.waitMs.p95).toBeGreaterThan(120_000);
    expect(best?.summary.waitMs.p95).toBeLessThan(120_000);
  });

  test('hold on other days, too: the same load by other seeds', () => {
    const day = (seed: number) => profileLoad('spike', 10_000, HOUR, seed);
    const otherLoads = [2, 3, 4].map(day);
    const { best } = suggest({ settings, load: day(1), otherLoads, service, targetWaitP95Ms: 20_000 });
    const chosen = best?.settings ?? settings;
    const waits = [5, 6, 7, 8].map(
      (seed) => simulate({ settings: chosen, load: day(seed), service, seed }).summary.waitMs.p95,
    );
    expect(best).not.toBeNull();
    expect(Math.max(...waits)).toBeLessThan(24_000);
  });

  test('come back from the values file as they were meant', () => {
    const { best } = suggestFor(burst, 60_000);
    const chosen = best?.settings ?? settings;
    const merged = mergeValues(VALUES, parse(valuesSnippet(chosen, settings, 'blur')) as Values);
    const { behavior, ...read } = settingsFromValues(merged, 'blur');
    expect({ ...read, scaleUp: behavior?.scaleUp }).toEqual({
      ...chosen,
      behavior: undefined,
      scaleUp: chosen.behavior?.scaleUp,
    });
  });

  test('allow growing at once when doubling is too slow, and say what that takes', () => {
    const suggestion = suggestFor(burst, 60_000);
    const policies = suggestion.best?.settings.behavior?.scaleUp.policies;
    expect(policies).toEqual([
      { type: 'Pods', value: suggestion.best?.settings.maxReplicas, periodMs: 15_000 },
    ]);
    expect(suggestionSentences(suggestion).join(' ')).toMatch(/doubling every 15 s takes too long/);
  });

  test('say so when nothing helps', () => {
    const suggestion = suggestFor(burst, 2_000);
    expect(suggestion.best).toBeNull();
    expect(suggestionSentences(suggestion).join(' ')).toMatch(
      /No settings that were tried.*raise minReplicas/,
    );
  });
});

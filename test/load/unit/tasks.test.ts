import { describe, expect, test } from 'vitest';
import { FUNCTIONS_DIR, listFunctions } from '../../../runtime/functions.ts';
import { planTask } from '../../../runtime/image/pipeline.ts';
import { filtersOf, planTasks, recipesOf } from '../tasks.ts';

const KNOWN = listFunctions();

describe('recipes', () => {
  test('are resize alone unless said otherwise', () => {
    expect(recipesOf('burst', undefined, KNOWN)).toEqual([[{ filter: 'resize', params: { width: 800 } }]]);
  });

  test('of mixed hold chains of several steps beside light tasks', () => {
    const recipes = recipesOf('mixed', undefined, KNOWN);
    expect(Math.max(...recipes.map((steps) => steps.length))).toBeGreaterThanOrEqual(3);
    expect(Math.min(...recipes.map((steps) => steps.length))).toBe(1);
  });

  test('can be written out, one kind of task each', () => {
    expect(recipesOf('steady', ['blur:radius=9', 'flip'], KNOWN)).toEqual([
      [{ filter: 'blur', params: { radius: 9 } }],
      [{ filter: 'flip', params: {} }],
    ]);
  });

  test('name the nearest filter when there is none of that name', () => {
    expect(() => recipesOf('burst', ['risize'], KNOWN)).toThrow(/did you mean resize/);
  });

  test('are good for every filter by its name alone, but for the one that needs a second image', async () => {
    for (const filter of KNOWN.filter((name) => name !== 'watermark')) {
      const [steps = []] = recipesOf('burst', [filter], KNOWN);
      await expect(planTask({ steps, output: {} }, FUNCTIONS_DIR)).resolves.toBeDefined();
    }
    for (const steps of recipesOf('mixed', undefined, KNOWN))
      await expect(planTask({ steps, output: {} }, FUNCTIONS_DIR)).resolves.toBeDefined();
  });
});

describe('tasks', () => {
  test('are drawn from all recipes and photos, the same for the same seed', () => {
    const recipes = recipesOf('mixed', undefined, KNOWN);
    const tasks = planTasks(recipes, ['a.png', 'b.png'], 200, 5);
    expect(new Set(tasks.map(({ steps }) => steps)).size).toBe(recipes.length);
    expect(new Set(tasks.map(({ photo }) => photo))).toEqual(new Set(['a.png', 'b.png']));
    expect(planTasks(recipes, ['a.png', 'b.png'], 200, 5)).toEqual(tasks);
  });

  test('use each filter once in the list of queues to watch', () => {
    const filters = filtersOf(recipesOf('mixed', undefined, KNOWN));
    expect(filters).toEqual([...new Set(filters)].sort());
  });
});

/** What each task of a load test is: its steps, and the photo it works on. */
import { fileURLToPath } from 'node:url';
import { randomStream } from '../../keda/random.ts';
import { parseStep } from '../../runtime/cli/step-syntax.ts';
import { closestName } from '../../runtime/closest-name.ts';
import { UserError } from '../../runtime/errors.ts';
import type { Step } from '../../runtime/task/task.ts';
import type { LoadProfile } from './profiles.ts';

export const PHOTOS = fileURLToPath(new URL('../fixtures/photos', import.meta.url));
export const DEFAULT_FILTER = 'resize';

export interface TaskPlan {
  /** A path on this machine. */
  photo: string;
  steps: Step[];
}

/** What a filter is asked to do when only its name is given. */
const USUAL: Record<string, string> = {
  blur: 'blur:radius=4',
  brightness: 'brightness:factor=1.2',
  contrast: 'contrast:factor=1.3',
  convert: 'convert:format=webp',
  crop: 'crop:width=300,height=300',
  edges: 'edges:method=canny',
  resize: 'resize:width=800',
  rotate: 'rotate:angle=10',
  saturation: 'saturation:factor=1.4',
  sharpen: 'sharpen:factor=1.5',
};

/** Heavy chains first, then the light ones that must not starve behind them. */
const MIXED = [
  ['resize:width=1600,fit=inside', 'sharpen:factor=1.5', 'blur:radius=2', 'resize:width=800'],
  ['blur:radius=20', 'sharpen:factor=2', 'resize:width=1200,fit=inside'],
  ['grayscale', 'blur:radius=3', 'edges:method=canny'],
  ['resize:width=400'],
  ['grayscale'],
  ['info'],
];

/**
 * The steps that a run's tasks take, one list a kind of task.
 * @param wanted filters, or steps written `resize:width=800`; one kind of task each
 * @throws UserError for a filter that is not there
 */
export function recipesOf(
  profile: LoadProfile,
  wanted: string[] | undefined,
  known: readonly string[],
): Step[][] {
  const written =
    wanted?.map((step) => [USUAL[step] ?? step]) ??
    (profile === 'mixed' ? MIXED : [[USUAL[DEFAULT_FILTER] as string]]);
  const recipes = written.map((steps) => steps.map(parseStep));
  for (const { filter } of recipes.flat()) {
    if (known.includes(filter)) continue;
    const near = closestName(filter, known);
    throw new UserError(
      `--filter ${filter}: there is no such filter; ${near === undefined ? `there are ${known.join(', ')}` : `did you mean ${near}?`}`,
    );
  }
  return recipes;
}

/** Task by task, each with a recipe and a photo drawn at random; the same seed gives the same tasks. */
export function planTasks(
  recipes: readonly Step[][],
  photos: readonly string[],
  count: number,
  seed: number,
): TaskPlan[] {
  const random = randomStream(seed, 7);
  const draw = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  return Array.from({ length: count }, () => ({ steps: draw(recipes), photo: draw(photos) }));
}

export function filtersOf(recipes: readonly Step[][]): string[] {
  return [...new Set(recipes.flat().map(({ filter }) => filter))].sort();
}

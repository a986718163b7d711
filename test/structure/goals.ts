/** The goals of the structure, and how far the tree is from each. */
import { importCircles, roomOf } from './rooms.ts';
import type { SourceSummary } from './source-summary.ts';
import type { WalkStep } from './walk.ts';

export interface GoalResult {
  goal: string;
  limit: number;
  value: number;
  met: boolean;
  /** For a goal that is not reached yet: what must not be exceeded on the way there. */
  held?: number;
  /** What has this value, for a goal on the largest of something. */
  largest?: string;
  /** What misses the goal and where, worst first; for a goal that counts things, all of them. */
  over: string[];
}

const FUNCTION_LINES_MAX = 60;
const FILE_LINES_MAX = 250;
const CORE_LINES_MAX = 8_000;
const WALK_ROOMS_MAX = 8;
const WALK_FILES_MAX = 20;
/** Lower these as the tree comes closer to its goals; never raise one without a reason in the commit. */
const HELD: Record<string, number> = {
  'lines of the runtime without its doors': 11_900,
  'files that one task enters': 45,
  'longest file in tests': 400,
};

const isTest = ({ path }: SourceSummary) => path.startsWith('test/');
const isCore = ({ path }: SourceSummary) => /^runtime\/(?!cli\/|gateway\/)/.test(path);

/** Whether the tree is neither at the goal nor within what is held until it is reached. */
export function isFailed({ met, value, held }: GoalResult): boolean {
  return !met && value > (held ?? Number.NEGATIVE_INFINITY);
}

export function checkSources(sources: SourceSummary[]): GoalResult[] {
  const product = sources.filter((source) => !isTest(source));
  const tests = sources.filter(isTest);
  return [
    longest('longest function', FUNCTION_LINES_MAX, functionSizes(product)),
    longest('longest function in tests', FUNCTION_LINES_MAX, functionSizes(tests)),
    longest('longest file', FILE_LINES_MAX, fileSizes(product)),
    longest('longest file in tests', FILE_LINES_MAX, fileSizes(tests)),
    coreLines(sources.filter(isCore)),
    count('circles of imports between rooms', 0, circles(sources)),
    count('names exported by more than one file', 0, twins(sources)),
  ].map(withHeld);
}

export function checkWalk(walk: WalkStep[]): GoalResult[] {
  const files = [...new Set(walk.map(({ path }) => path))];
  const rooms = [...new Set(files.map(roomOf))];
  return [
    count('rooms that one task enters', WALK_ROOMS_MAX, rooms),
    count('files that one task enters', WALK_FILES_MAX, files),
  ].map(withHeld);
}

function withHeld(result: GoalResult): GoalResult {
  const held = HELD[result.goal];
  return held === undefined ? result : { ...result, held };
}

interface Size {
  lines: number;
  what: string;
}

function longest(goal: string, limit: number, sizes: Size[]): GoalResult {
  const byLength = sizes.toSorted((a, b) => b.lines - a.lines);
  const value = byLength[0]?.lines ?? 0;
  const over = byLength.filter(({ lines }) => lines > limit).map(({ lines, what }) => `${lines} ${what}`);
  return { goal, limit, value, met: value <= limit, largest: byLength[0]?.what, over };
}

/** A callback of describe is a list of tests: those count, the list does not. */
function functionSizes(sources: SourceSummary[]): Size[] {
  return sources.flatMap(({ path, functions }) =>
    functions
      .filter(({ name }) => !name.startsWith('callback of describe'))
      .map(({ name, line, lines }) => ({ lines, what: `${path}:${line} ${name}` })),
  );
}

function fileSizes(sources: SourceSummary[]): Size[] {
  return sources.map(({ path, lines }) => ({ lines, what: path }));
}

function coreLines(sources: SourceSummary[]): GoalResult {
  const rooms = Map.groupBy(sources, ({ path }) => roomOf(path));
  const sizes = [...rooms].map(([room, inside]) => ({ what: room, lines: sumOfLines(inside) }));
  const { over } = longest('', 0, sizes);
  const value = sumOfLines(sources);
  return {
    goal: 'lines of the runtime without its doors',
    limit: CORE_LINES_MAX,
    value,
    met: value <= CORE_LINES_MAX,
    over,
  };
}

function sumOfLines(sources: SourceSummary[]): number {
  return sources.reduce((sum, { lines }) => sum + lines, 0);
}

function count(goal: string, limit: number, over: string[]): GoalResult {
  return { goal, limit, value: over.length, met: over.length <= limit, over };
}

function circles(sources: SourceSummary[]): string[] {
  return importCircles(sources).map(
    ({ rooms, imports }) => `${[...rooms, rooms[0]].join(' → ')} (${imports.join(', ')})`,
  );
}

/** What replaces a module when it loads has to export that module's names. */
const isStandIn = ({ path }: SourceSummary) => /\/virtual-[^/]+$/.test(path);

function twins(sources: SourceSummary[]): string[] {
  const exported = sources
    .filter((source) => !isStandIn(source))
    .flatMap(({ path, exports }) => exports.map((name) => ({ name, path })));
  return [...Map.groupBy(exported, ({ name }) => name)]
    .filter(([, places]) => places.length > 1)
    .toSorted(([, a], [, b]) => b.length - a.length)
    .map(([name, places]) => `${name}: ${places.map(({ path }) => path).join(', ')}`);
}

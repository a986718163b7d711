/** Names results as if their photos were done one after the other, in whatever order they are done. */
import { nameParts, resultNamer } from '../photos.ts';

/** Gives a photo's result its name, once; without an extension there is no result, and no name. */
type NameInOrder = (index: number, extension: string | undefined) => Promise<string | undefined>;

/**
 * A name depends on the names given before only where two photos could want the same one. Those wait for each other's
 * turn; all others have their names at once.
 */
export function orderedNamer(photos: string[]): NameInOrder {
  const nameResult = resultNamer();
  const turns = turnsOf(photos);
  return async (index, extension) => {
    const turn = turns.get(index);
    await turn?.before;
    const name = extension === undefined ? undefined : nameResult(photos[index]!, extension);
    turn?.pass();
    return name;
  };
}

interface Turn {
  before: Promise<void>;
  pass: () => void;
}

function turnsOf(photos: string[]): Map<number, Turn> {
  let before = Promise.resolve();
  return new Map(
    rivals(photos).map((index) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      const turn = { before, pass: resolve };
      before = promise;
      return [index, turn];
    }),
  );
}

/** Indexes of photos that have the same name but for its ending, or one that might be given to such a photo's result. */
function rivals(photos: string[]): number[] {
  const stems = photos.map((photo) => nameParts(photo).stem);
  const counts = Map.groupBy(stems, (stem) => stem);
  const isShared = (stem: string) => (counts.get(stem)?.length ?? 0) > 1;
  const isRival = (stem: string) =>
    isShared(stem) || [...stem.matchAll(/[.-]/g)].some(({ index }) => isShared(stem.slice(0, index)));
  return [...stems.keys()].filter((index) => isRival(stems[index]!));
}

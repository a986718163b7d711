import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { resultNamer } from '../../../../runtime/cli/photos.ts';
import { orderedNamer } from '../../../../runtime/cli/run/result-order.ts';

/** Names that collide often. */
const photo = fc
  .tuple(
    fc.constantFrom('a/', 'b/', ''),
    fc.constantFrom('cat', 'cat-2', 'cat-3', 'cat.png', 'cat-2.jpg', 'dog', 'dog-2'),
    fc.constantFrom('.jpg', '.png'),
  )
  .map((parts) => parts.join(''));
const result = fc.record({
  photo,
  extension: fc.option(fc.constantFrom('jpg', 'png', 'webp'), { nil: undefined }),
  place: fc.double({ noNaN: true }),
});

describe('orderedNamer', () => {
  it('gives the names that photos would have one after the other, in whatever order they are done', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(result, { selector: ({ photo }) => photo, maxLength: 20 }),
        async (results) => {
          const one = resultNamer();
          const expected = results.map(({ photo, extension }) => extension && one(photo, extension));
          const many = orderedNamer(results.map(({ photo }) => photo));
          const names: (string | undefined)[] = [];

          const done = [...results.entries()].toSorted(([, a], [, b]) => a.place - b.place);
          await Promise.all(
            done.map(async ([index, { extension }]) => {
              names[index] = await many(index, extension);
            }),
          );

          expect(names).toEqual(expected);
        },
      ),
    );
  });

  it('lets a photo that nobody else can be taken for have its name at once', async () => {
    const name = orderedNamer(['a/cat.jpg', 'b/cat.jpg', 'a/dog.jpg']);

    expect(await name(2, 'png')).toBe('dog.png');
    const second = name(1, 'png');
    expect(await name(0, 'png')).toBe('cat.png');
    expect(await second).toBe('cat.jpg.png');
  });
});

import { describe, expect, it } from 'vitest';
import { readConfig } from '../../../runtime/config.ts';
import { UserError } from '../../../runtime/errors.ts';
import { parseSize } from '../../../runtime/units.ts';
import { childLimits, slotsPerFilter } from '../../../runtime/worker/child-memory.ts';

const MIB = 1_048_576;

describe('the limits of a child', () => {
  it('are those of the configuration where the container has the memory', () => {
    const config = readConfig({ LIMIT_PIXELS: '50000000' });

    expect(childLimits(config, 1536 * MIB)).toEqual({ ...config.limits, memoryBytes: 1024 * MIB });
  });

  it('follow from a smaller container where none were set', () => {
    expect(childLimits(readConfig({}), 512 * MIB)).toMatchObject({
      memoryBytes: 384 * MIB,
      pixels: 26_843_545,
      outputPixels: 26_843_545,
    });
  });

  it('are refused where they were set and the container is too small, with the numbers to use', () => {
    const config = readConfig({ LIMIT_PIXELS: '50000000', LIMIT_OUTPUT_PIXELS: '1000000' });

    expect(() => childLimits(config, 512 * MIB)).toThrow(
      /LIMIT_PIXELS \(50000000\) and LIMIT_OUTPUT_PIXELS \(1000000\) need 605MiB .* container's 512MiB\. Give the container at least 807MiB, or set both limits to at most 26843545\./,
    );
    expect(() => childLimits(config, 807 * MIB)).not.toThrow();
  });

  it('are refused where not even a small image would fit', () => {
    expect(() => childLimits(readConfig({}), 128 * MIB)).toThrow(
      /need 138MiB .*Give the container at least 184MiB\./,
    );
  });
});

describe('the slots of a container', () => {
  const config = (env: Record<string, string>) =>
    readConfig({ FUNCTION: 'blur', CHILD_MAX_MEMORY: '300MiB', ...env });

  it('share three quarters of its memory', () => {
    const four = config({ SLOTS: '4' });

    expect(slotsPerFilter(four, 1600 * MIB)).toBe(4);
    expect(childLimits(four, 1600 * MIB)).toMatchObject({ memoryBytes: 300 * MIB, pixels: 18_035_507 });
  });

  it.each([
    ['blur', '1600MiB', 'SLOTS to at most 3', 'CHILD_MAX_MEMORY to at most 299MiB', 1_599],
    ['blur,flip', '3200MiB', 'SLOTS to at most 3', 'CHILD_MAX_MEMORY to at most 299MiB', 3_199],
  ])(
    'are refused where %s does not leave each what a child may take, with the numbers to use',
    (FUNCTION, enough, fewer, smaller, mebibytes) => {
      const check = () => slotsPerFilter(config({ FUNCTION, SLOTS: '4' }), mebibytes * MIB);

      expect(check).toThrow(UserError);
      for (const words of ['SLOTS (4)', `at least ${enough}`, fewer, smaller]) expect(check).toThrow(words);
      const [raised, lowered, less] = [
        parseSize(enough)!,
        { SLOTS: '3' },
        { SLOTS: '4', CHILD_MAX_MEMORY: '299MiB' },
      ];
      expect(slotsPerFilter(config({ FUNCTION, SLOTS: '4' }), raised)).toBe(4);
      expect(slotsPerFilter(config({ FUNCTION, ...lowered }), mebibytes * MIB)).toBe(3);
      expect(slotsPerFilter(config({ FUNCTION, ...less }), mebibytes * MIB)).toBe(4);
    },
  );

  it.each([
    ['blur', 1, 16_384, 2],
    ['blur', 8, 16_384, 9],
    ['blur,flip', 2, 16_384, 2],
    ['blur,flip,crop', 2, 16_384, 1],
    ['blur', 8, 4_096, 3],
    ['blur', 8, 512, 1],
  ])(
    'are one more than processors for all filters where nobody has set them, if they fit: %s, %d, %d MiB',
    (FUNCTION, processors, mebibytes, expected) => {
      const unset = config({ FUNCTION, CHILD_MAX_MEMORY: '1GiB' });

      expect(slotsPerFilter(unset, mebibytes * MIB, processors)).toBe(expected);
    },
  );

  it('are content with less than a child may take where there is one', () => {
    expect(slotsPerFilter(config({ CHILD_MAX_MEMORY: '1GiB', SLOTS: '1' }), 512 * MIB)).toBe(1);
  });

  it('of several filters share it, too', () => {
    const two = config({ FUNCTION: 'blur,flip', CHILD_MAX_MEMORY: '1GiB', SLOTS: '1' });

    expect(childLimits(two, 1024 * MIB)).toMatchObject({ memoryBytes: 384 * MIB });
    expect(() =>
      childLimits(
        config({ FUNCTION: 'blur,flip', CHILD_MAX_MEMORY: '1GiB', LIMIT_PIXELS: '50000000' }),
        1024 * MIB,
      ),
    ).toThrow(/each of 2 children.*at least 1613MiB/);
  });
});

import { describe, expect, it } from 'vitest';
import { readConfig } from '../../../runtime/config.ts';
import { childLimits } from '../../../runtime/worker/child-memory.ts';

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

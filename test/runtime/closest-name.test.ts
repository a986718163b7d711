import { describe, expect, it } from 'vitest';
import { closestName } from '../../runtime/closest-name.ts';

describe('closestName', () => {
  it('finds a mistyped name and nothing far away', () => {
    expect(closestName('blurr', ['blur', 'resize'])).toBe('blur');
    expect(closestName('Resize', ['blur', 'resize'])).toBe('resize');
    expect(closestName('watermark', ['blur', 'resize'])).toBeUndefined();
  });
});

import { describe, expect, it } from 'vitest';
import { describeFunction } from '../../../runtime/cli/describe-function.ts';
import { loadFunction } from '../../../runtime/functions.ts';

describe('describeFunction', () => {
  it('lists type, default, bounds and description', async () => {
    const { returns, params } = describeFunction(await loadFunction('info'));
    expect(returns).toBe('json');
    expect(params[0]).toEqual({
      name: 'blurhashX',
      type: 'integer',
      required: false,
      default: 4,
      minimum: 1,
      maximum: 9,
      accepts: 'a whole number from 1 to 9',
      description: 'Detail of the BlurHash from left to right',
    });
  });

  it('names the values of a choice', async () => {
    const { params } = describeFunction(await loadFunction('flip'));
    expect(params[0]).toMatchObject({
      type: 'string',
      values: ['horizontal', 'vertical', 'both'],
      default: 'horizontal',
    });
  });
});

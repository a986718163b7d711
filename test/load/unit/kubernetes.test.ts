import { describe, expect, test } from 'vitest';
import { UserError } from '../../../runtime/errors.ts';
import { openDeployments, replicasIn } from '../targets/kubernetes.ts';

const deployment = (filter: string, wanted: number | undefined, running: number | undefined) => ({
  metadata: { labels: { 'darkroom.filter': filter } },
  spec: { ...(wanted !== undefined && { replicas: wanted }) },
  status: { ...(running !== undefined && { replicas: running }) },
});

describe("a cluster's workers", () => {
  test('are read by filter; a count of zero is left out of the status', () => {
    const json = JSON.stringify({ items: [deployment('blur', 3, 2), deployment('resize', 0, undefined)] });
    expect(replicasIn(json)).toEqual(
      new Map([
        ['blur', { wanted: 3, running: 2 }],
        ['resize', { wanted: 0, running: 0 }],
      ]),
    );
  });

  test('of two releases count together', () => {
    const json = JSON.stringify({ items: [deployment('blur', 3, 2), deployment('blur', 1, 1)] });
    expect(replicasIn(json).get('blur')).toEqual({ wanted: 4, running: 3 });
  });

  test('cannot be read without kubectl, which is said in words', async () => {
    const opening = openDeployments({ kubectl: 'no-such-kubectl' });
    await expect(opening).rejects.toThrow(UserError);
    await expect(opening).rejects.toThrow(/there is no kubectl/);
  });
});

import { describe, expect, it } from 'vitest';
import { imageEnvironment } from '../../../runtime/worker/start-child.ts';

describe('imageEnvironment', () => {
  it('asks both allocators for large pages and gives the image library its threads', () => {
    expect(imageEnvironment({ HOME: '/home/me' }, 6)).toMatchObject({
      HOME: '/home/me',
      GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1',
      MALLOC_CONF: 'thp:always',
      VIPS_CONCURRENCY: '6',
      UV_THREADPOOL_SIZE: '6',
    });
  });

  it('leaves the last word to who has set something', () => {
    const set = { GLIBC_TUNABLES: 'glibc.malloc.hugetlb=0', MALLOC_CONF: 'thp:never', MALLOC_ARENA_MAX: '8' };

    expect(imageEnvironment(set, 1)).toMatchObject({ ...set, MALLOC_CONF: 'thp:always,thp:never' });
  });
});

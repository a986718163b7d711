/**
 * The rights that the chart gives to the broker's users, and helm/README.md to type: those that `darkroom rights` prints.
 * That they suffice, and allow no more, is tried on brokers in test/runtime/cli/rights.test.ts.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROLES, rightsOf } from '../../runtime/cli/broker-rights.ts';
import { one, ROOT, render } from '../support/chart.ts';
import { turned } from './switches.ts';

interface Definitions {
  users: { name: string; tags: string[] }[];
  permissions: { user: string; configure: string; write: string; read: string }[];
}

const RIGHTS = rightsOf('darkroom');

async function definitions(): Promise<Definitions> {
  const secret = one(await render({ set: turned('demo broker') }), 'Secret', 'darkroom-demo-broker');
  return JSON.parse(secret.stringData?.['definitions.json'] ?? '');
}

describe('the broker’s users', () => {
  it.each(ROLES)('%s: has in the README the rights that are printed', async (role) => {
    const readme = await readFile(join(ROOT, 'helm/README.md'), 'utf8');
    const lines = readme.matchAll(/set_permissions -p prod darkroom-(\w+)\s+'(.+?)'\s+'(.+?)'\s+'(.+?)'/g);
    const typed = new Map([...lines].map(([, user = '', ...rights]) => [user, rights]));

    const { configure, write, read } = RIGHTS[role];
    expect(typed.get(role)).toEqual([configure, write, read]);
  });

  it('have them in the chart, too, but for admin, who administers the demo broker', async () => {
    const { users, permissions } = await definitions();

    const { admin: _, ...others } = RIGHTS;
    for (const { user, configure, write, read } of permissions.filter(({ user }) => user !== 'admin')) {
      const rights = others[user as keyof typeof others];
      expect({ configure, write, read }, user).toEqual({
        configure: rights.configure,
        write: rights.write,
        read: rights.read,
      });
      expect(users.find(({ name }) => name === user)?.tags, user).toEqual(rights.tags);
    }
    expect(permissions.map(({ user }) => user)).toEqual(
      expect.arrayContaining(['admin', 'worker', 'monitor']),
    );
    expect(users.filter(({ tags }) => tags.includes('administrator')).map(({ name }) => name)).toEqual([
      'admin',
    ]);
  });
});

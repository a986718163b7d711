import { describe, expect, it } from 'vitest';
import { importCircles, roomOf } from './rooms.ts';
import { summarizeSource } from './source-summary.ts';

/** Files by what they import. */
function tree(files: Record<string, string[]>) {
  return Object.entries(files).map(([path, imports]) =>
    summarizeSource(path, imports.map((specifier) => `import '${specifier}';`).join('\n')),
  );
}

describe('a room', () => {
  it('is a folder of a top folder with all that it holds, or a file there', () => {
    expect(roomOf('runtime/worker/slot.ts')).toBe('runtime/worker');
    expect(roomOf('runtime/cli/commands/run.ts')).toBe('runtime/cli');
    expect(roomOf('runtime/errors.ts')).toBe('runtime/errors.ts');
  });
});

describe('circles of imports', () => {
  it('go through as many rooms as it takes, and are told with their imports', () => {
    const sources = tree({
      'runtime/amqp/a.ts': ['./b.ts', '../errors.ts'],
      'runtime/amqp/b.ts': ['../task/c.ts'],
      'runtime/task/c.ts': ['../image/d.ts'],
      'runtime/image/d.ts': ['../amqp/a.ts', '../errors.ts'],
      'runtime/errors.ts': [],
    });

    expect(importCircles(sources)).toEqual([
      {
        rooms: ['runtime/amqp', 'runtime/task', 'runtime/image'],
        imports: [
          'runtime/amqp/b.ts → runtime/task/c.ts',
          'runtime/task/c.ts → runtime/image/d.ts',
          'runtime/image/d.ts → runtime/amqp/a.ts',
        ],
      },
    ]);
  });

  it('are none where imports only go down, or stay in a room', () => {
    const sources = tree({
      'runtime/cli/main.ts': ['./commands/run.ts', '../amqp/a.ts'],
      'runtime/cli/commands/run.ts': ['../main.ts', '../../amqp/a.ts'],
      'runtime/amqp/a.ts': ['../errors.ts'],
    });

    expect(importCircles(sources)).toEqual([]);
  });

  it('are told once each', () => {
    const sources = tree({
      'keda/a.ts': ['./b.ts'],
      'keda/b.ts': ['./a.ts', './c.ts'],
      'keda/c.ts': ['./d.ts'],
      'keda/d.ts': ['./c.ts'],
    });

    expect(importCircles(sources).map(({ rooms }) => rooms)).toEqual([
      ['keda/a.ts', 'keda/b.ts'],
      ['keda/c.ts', 'keda/d.ts'],
    ]);
  });
});

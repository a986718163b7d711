/** A redis-server of a benchmark's own. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { freePorts } from '../../../runtime/cli/local-broker/rabbitmq-node.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { Missing } from '../row.ts';
import { runs, Service } from './service.ts';

export interface Redis extends AsyncDisposable {
  port: number;
  url: string;
  version: string;
}

/** Redis as it comes keeps snapshots, a safe one appends every change to a file and syncs that before it answers. */
export type RedisDurability = 'as it comes' | 'safe';

const SAFE = ['--appendonly', 'yes', '--appendfsync', 'always'];

/** The port is this machine's alone, and the data goes with the process. */
export async function startRedis(durability: RedisDurability): Promise<Redis | Missing> {
  if (!(await runs('redis-server', '--version')))
    return new Missing('redis-server is not installed (Debian, Ubuntu: apt-get install redis-server)');
  const { stdout } = await promisify(execFile)('redis-server', ['--version']);
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await temporaryFolder());
  const [port = 0] = await freePorts(1);
  const place = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder.path];
  const server = stack.use(new Service('redis-server', [...place, ...(durability === 'safe' ? SAFE : [])]));
  await server.saying(/Ready to accept connections/);
  const kept = stack.move();
  return {
    port,
    url: `redis://127.0.0.1:${port}/0`,
    version: /v=([\d.]+)/.exec(stdout)?.[1] ?? '',
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Finds a Python that has pika, RabbitMQ's client for Python. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** A Python 3 that can import pika, or undefined. Debian's own comes second: another may hide it on the PATH. */
export async function pikaPython(): Promise<string | undefined> {
  for (const python of ['python3', '/usr/bin/python3']) {
    try {
      await promisify(execFile)(python, ['-c', 'import pika']);
      return python;
    } catch {
      // The next may have it.
    }
  }
  return undefined;
}

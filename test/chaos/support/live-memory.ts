/** What a running Node process still holds after a garbage collection, asked through its inspector. */
import { until } from '../../support/until.ts';

/** Where SIGUSR1 makes Node listen. One process at a time, since all take the same port. */
const INSPECTOR = 'http://127.0.0.1:9229/json/list';
const ANSWER_TIMEOUT_MS = 20_000;

/** Bytes that are alive in its heap and in buffers outside of it. */
export async function liveBytes(pid: number): Promise<number> {
  process.kill(pid, 'SIGUSR1');
  const socket = await until(openInspector, `the inspector of process ${pid}`);
  const ask = requester(socket);
  await ask('HeapProfiler.enable');
  // Twice: what finalisers let go in the first goes in the second.
  await ask('HeapProfiler.collectGarbage');
  await ask('HeapProfiler.collectGarbage');
  const { result } = await ask('Runtime.evaluate', {
    expression: '(({ heapUsed, external }) => heapUsed + external)(process.memoryUsage())',
  });
  // It ends the connection before it can answer.
  void ask('Runtime.evaluate', { expression: "process.getBuiltinModule('node:inspector').close()" }).catch(
    () => {},
  );
  await until(async () => (await listTargets()) === undefined, 'the inspector to close');
  return Number((result as { value: number }).value);
}

async function openInspector(): Promise<WebSocket | undefined> {
  const [target] = (await listTargets()) ?? [];
  if (target === undefined) return undefined;
  const socket = new WebSocket(target.webSocketDebuggerUrl);
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve, { once: true });
    socket.addEventListener('error', () => reject(new Error('the inspector took no connection')), {
      once: true,
    });
  });
  return socket;
}

async function listTargets(): Promise<{ webSocketDebuggerUrl: string }[] | undefined> {
  try {
    return (await (await fetch(INSPECTOR, { headers: { connection: 'close' } })).json()) as {
      webSocketDebuggerUrl: string;
    }[];
  } catch {
    return undefined;
  }
}

type Ask = (method: string, params?: object) => Promise<Record<string, unknown>>;

function requester(socket: WebSocket): Ask {
  let last = 0;
  return (method, params = {}) =>
    new Promise((resolve, reject) => {
      const id = ++last;
      const timer = setTimeout(() => reject(new Error(`no answer to ${method}`)), ANSWER_TIMEOUT_MS);
      timer.unref();
      socket.addEventListener('message', ({ data }) => {
        const answer = JSON.parse(String(data)) as { id?: number; result?: Record<string, unknown> };
        if (answer.id !== id) return;
        clearTimeout(timer);
        resolve(answer.result ?? {});
      });
      socket.send(JSON.stringify({ id, method, params }));
    });
}

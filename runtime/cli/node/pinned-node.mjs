/**
 * Hands over to the Node 24 that `npm ci` put beside this. Plain JavaScript, so that an older Node can read it.
 * No package's install script is needed for it: npm itself picks the package of this system and processor.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const OLDEST_MAJOR = 24;
const LAUNCHER_PID = 'DARKROOM_LAUNCHER_PID';
const root = fileURLToPath(new URL('../../..', import.meta.url));

/** Whether this Node can run TypeScript as it is. */
export function isRecentNode() {
  return Number.parseInt(process.versions.node, 10) >= OLDEST_MAJOR;
}

/** Runs a file with its arguments on the pinned Node, and ends as that does. */
export function runOnPinnedNode(parameters) {
  const pinned = pinnedNode();
  if (!existsSync(pinned)) {
    console.error(
      `darkroom needs Node ${OLDEST_MAJOR} or newer; this is ${process.version}.\n` +
        `Run "npm ci" in ${root}: on Linux (x64, arm64), Windows (x64) and Macs with an Intel processor it brings a ` +
        `Node ${OLDEST_MAJOR} of its own. Or install a newer Node.`,
    );
    process.exit(2);
  }
  const env = { ...process.env, [LAUNCHER_PID]: String(process.pid) };
  const child = spawn(pinned, parameters, { env, stdio: 'inherit' });
  child.on('error', (error) => {
    console.error(`darkroom could not start ${pinned}: ${error.message}`);
    process.exit(1);
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    // A terminal sends Ctrl-C to the child too: passing it on would make one key press two.
    process.on(signal, () => (signal === 'SIGINT' && process.stdin.isTTY) || child.kill(signal));
  }
  child.on('exit', (code, signal) => {
    if (!signal) process.exit(code ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

/** On the pinned Node: the process that handed over passes signals on, but not its own death. */
export async function endWithLauncher() {
  const launcherPid = process.env[LAUNCHER_PID];
  if (launcherPid === undefined) return;
  delete process.env[LAUNCHER_PID];
  const { dieWithParent } = await import('../../worker/parent-death.ts');
  dieWithParent(Number(launcherPid), false);
}

function pinnedNode() {
  const [system, file] = process.platform === 'win32' ? ['win', 'node.exe'] : [process.platform, 'node'];
  return `${root}node_modules/node-${system}-${process.arch}/bin/${file}`;
}

#!/usr/bin/env node
/**
 * Starts `darkroom` on a Node that can run it: plain JavaScript, so that an older Node can read it and hand
 * over to the Node 24 that `npm ci` put beside it. On Node 24 it only turns on the compile cache.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import module from 'node:module';
import { fileURLToPath } from 'node:url';

const OLDEST_MAJOR = 24;
const root = fileURLToPath(new URL('../..', import.meta.url));

if (Number.parseInt(process.versions.node, 10) >= OLDEST_MAJOR) {
  keepCompiledCode();
  const { main } = await import('./main.ts');
  process.exit(await main());
} else {
  runOnPinnedNode();
}

/** Stripping types and compiling are done once per version of a file; forked processes share the folder. */
function keepCompiledCode() {
  const { directory } = module.enableCompileCache(`${root}node_modules/.cache/darkroom`);
  if (directory) process.env.NODE_COMPILE_CACHE ??= directory;
}

function runOnPinnedNode() {
  const pinned = [`${root}node_modules/node/bin/node`, `${root}node_modules/node/bin/node.exe`].find(
    existsSync,
  );
  if (!pinned) {
    console.error(
      `darkroom needs Node ${OLDEST_MAJOR} or newer; this is ${process.version}.\n` +
        `Run "npm ci" in ${root}: it brings a Node ${OLDEST_MAJOR} of its own. Or install a newer Node.`,
    );
    process.exit(2);
  }
  const child = spawn(pinned, process.argv.slice(1), { stdio: 'inherit' });
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

#!/usr/bin/env node
/**
 * Starts `darkroom` on a Node that can run it: plain JavaScript, so that an older Node can read it and hand
 * over to the Node 24 that `npm ci` put beside it. On Node 24 it only turns on the compile cache.
 */
import module from 'node:module';
import { fileURLToPath } from 'node:url';
import { hideEnvironment } from './node/hide-environment.mjs';
import { endWithLauncher, isRecentNode, runOnPinnedNode } from './node/pinned-node.mjs';

hideEnvironment();

if (isRecentNode()) {
  await endWithLauncher();
  keepCompiledCode();
  const { main } = await import('./main.ts');
  const outputs = [process.stdout, process.stderr];
  // Whoever read it has gone: the work goes on without being shown.
  for (const output of outputs) output.on('error', () => {});
  const code = await main();
  await Promise.all(outputs.map(written));
  process.exit(code);
} else {
  runOnPinnedNode(process.argv.slice(1));
}

/** A pipe takes text as fast as somebody reads it; what it has not taken would be cut off. */
function written(output) {
  if (output.writableLength === 0 || output.errored) return;
  return new Promise((done) => output.write('', done));
}

/** Stripping types and compiling are done once per version of a file; forked processes share the folder. */
function keepCompiledCode() {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const { directory } = module.enableCompileCache(`${root}node_modules/.cache/darkroom`);
  if (directory) process.env.NODE_COMPILE_CACHE ??= directory;
}

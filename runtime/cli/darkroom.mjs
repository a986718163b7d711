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
  process.exit(await main());
} else {
  runOnPinnedNode(process.argv.slice(1));
}

/** Stripping types and compiling are done once per version of a file; forked processes share the folder. */
function keepCompiledCode() {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const { directory } = module.enableCompileCache(`${root}node_modules/.cache/darkroom`);
  if (directory) process.env.NODE_COMPILE_CACHE ??= directory;
}

/**
 * `node run.mjs FILE…`: runs a TypeScript file on Node 24, for npm's scripts. Most npms put the Node that `npm ci`
 * brought first on their PATH; npm 10 forgets to.
 */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { hideEnvironment } from './hide-environment.mjs';
import { endWithLauncher, isRecentNode, runOnPinnedNode } from './pinned-node.mjs';

hideEnvironment();

const [file, ...parameters] = process.argv.slice(2);
if (isRecentNode()) {
  await endWithLauncher();
  process.argv = [process.execPath, resolve(file), ...parameters];
  await import(pathToFileURL(process.argv[1]).href);
} else {
  // By way of this file again, which then binds its life to this process.
  runOnPinnedNode(process.argv.slice(1));
}

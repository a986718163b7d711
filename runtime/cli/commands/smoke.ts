/** `darkroom smoke`: one small image through queue, worker and storage, for `helm test`, or to be sure that all of it works. */
import { Command } from 'commander';
import { type Config, readConfig } from '../../config.ts';
import { asError, Rejection, UserError } from '../../errors.ts';
import { openStorage } from '../../storage/open.ts';
import type { Storage } from '../../storage/storage.ts';
import type { TaskOutcome } from '../end-watch.ts';
import { conventional, seconds } from '../option-values.ts';
import { declareAll, withBroker } from '../session.ts';
import { abortAfter } from '../signals.ts';
import { parseStep } from '../step-syntax.ts';
import { TaskClient } from '../task-client.ts';
import { resultOf } from '../task-result.ts';
import { escapeControls, note, print, printJson } from '../terminal.ts';

const TEST_CARD_KEY = 'in/smoke-test-card.png';
const DEFAULT_WAIT_SECONDS = 120;

interface SmokeOptions {
  step: string;
  wait: string;
  declare: boolean;
  json?: boolean;
}

export function smokeCommand(): Command {
  const command = new Command('smoke')
    .description(
      'Publishes a small image as a real task and waits for its result. Exit code 0 when the result is right.',
    )
    .option('--step <name:key=value,…>', 'the filter to send it through', 'resize:width=16')
    .option('--wait <seconds>', 'how long to wait, scaling from zero included', String(DEFAULT_WAIT_SECONDS))
    .option('--no-declare', 'do not declare the queues first (a user without that right)')
    .action(smoke);
  return conventional(command, 'darkroom smoke --wait 60');
}

async function smoke(options: SmokeOptions): Promise<void> {
  const waitSeconds = seconds('--wait', options.wait);
  const config = readConfig();
  const storage = await openStorage(config.storage.url);
  await storage.write(TEST_CARD_KEY, await testCard(), { contentType: 'image/png' });
  const started = performance.now();
  const task = await sendTestCard(config, storage, options, waitSeconds);
  const ms = Math.round(performance.now() - started);
  const result = resultOf(task);
  if (task.outcome !== 'completed' || result === undefined)
    throw new Rejection(escapeControls(`The task ${task.outcome}: ${task.data.failure_reason}`), {
      failureType: 'filter-failed',
    });
  const stored = await storage.read(result.key).catch((error: unknown) => {
    throw new UserError(escapeControls(`The result ${result.key} cannot be read: ${asError(error).message}`));
  });
  if (options.json === true) printJson({ ok: stored.length === result.bytes, task: task.id, ms, ...result });
  else
    print(
      `A ${result.width} × ${result.height} result came back in ${ms} ms (task ${task.id}, ${escapeControls(result.key)}).`,
    );
}

async function sendTestCard(
  config: Config,
  storage: Storage,
  { step, declare }: SmokeOptions,
  waitSeconds: number,
): Promise<TaskOutcome> {
  return await withBroker(config, async (broker) => {
    if (declare) await declareAll(broker, config);
    const client = await TaskClient.open(broker, storage, config);
    const submitted = await client.submit(TEST_CARD_KEY, {
      steps: [parseStep(step)],
      output: { format: 'png' },
    });
    const late = new UserError(
      `No result within ${waitSeconds} s. darkroom status ${submitted.id} says where the task is.`,
    );
    return await client.outcome(submitted, note, abortAfter(waitSeconds * 1_000, late));
  });
}

/** Colour bars with a gradient, drawn here so that nothing has to be shipped. 64 × 64 pixels. */
async function testCard(): Promise<Buffer> {
  const { default: sharp } = await import('sharp');
  const side = 64;
  const data = Buffer.alloc(side * side * 3);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const bar = x >> 3;
      const level = 255 - y * 2;
      data.set([bar & 4 ? level : 0, bar & 2 ? level : 0, bar & 1 ? level : 0], (y * side + x) * 3);
    }
  }
  return await sharp(data, { raw: { width: side, height: side, channels: 3 } })
    .png()
    .toBuffer();
}

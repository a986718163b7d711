/** `darkroom …`: finds the command, loads only that one, and turns failures into one clear line and an exit code. */
import { Command, CommanderError } from 'commander';
import { closestName } from '../closest-name.ts';
import { asError, type FailureType, TaskFailure, UserError } from '../errors.ts';
import { redactText } from '../redact.ts';
import { EXIT } from './exit-codes.ts';

interface Entry {
  summary: string;
  load(): Promise<Command>;
}

const COMMANDS: Record<string, Entry> = {
  demo: {
    summary: 'See all of it at work: a broker, workers from zero, photos, results',
    load: async () => (await import('./commands/demo.ts')).demoCommand(),
  },
  run: {
    summary: 'Run filters over photos here, without a broker',
    load: async () => (await import('./commands/run.ts')).runCommand(),
  },
  publish: {
    summary: 'Publish photos as tasks, and wait for the results if asked',
    load: async () => (await import('./commands/publish.ts')).publishCommand(),
  },
  functions: {
    summary: 'List the filters, or one filter’s parameters',
    load: async () => (await import('./commands/functions.ts')).functionsCommand(),
  },
  status: {
    summary: 'Say where a task stands',
    load: async () => (await import('./commands/status.ts')).statusCommand(),
  },
  cancel: {
    summary: 'Stop a task, queued or running',
    load: async () => (await import('./commands/cancel.ts')).cancelCommand(),
  },
  dead: {
    summary: 'List, show, replay, export or purge dead letters',
    load: async () => (await import('./commands/dead.ts')).deadCommand(),
  },
  queues: {
    summary: 'Declare, list or purge the queues',
    load: async () => (await import('./commands/queues.ts')).queuesCommand(),
  },
  rights: {
    summary: 'Print the least rights on the broker for each role',
    load: async () => (await import('./commands/rights.ts')).rightsCommand(),
  },
  worker: {
    summary: 'Work on the queue of one or more filters',
    load: async () => (await import('./commands/worker.ts')).workerCommand(),
  },
  up: {
    summary: 'Autoscale workers on this machine by the chart’s values',
    load: async () => (await import('./commands/up.ts')).upCommand(),
  },
  simulate: {
    summary: 'Simulate scaling under a load: replicas, waits, cost',
    load: async () => (await import('./commands/simulate.ts')).simulateCommand(),
  },
  recommend: {
    summary: 'Recommend replicas from live or recorded metrics',
    load: async () => (await import('./commands/recommend.ts')).recommendCommand(),
  },
  smoke: {
    summary: 'Send one small image end to end',
    load: async () => (await import('./commands/smoke.ts')).smokeCommand(),
  },
  sweep: {
    summary: 'Remove old markers and abandoned intermediates from the storage',
    load: async () => (await import('./commands/sweep.ts')).sweepCommand(),
  },
  doctor: {
    summary: 'Check Node, broker, rights and storage, and say how to fix them',
    load: async () => (await import('./commands/doctor.ts')).doctorCommand(),
  },
};

/** @returns the exit code; a worker keeps the process until it is told to stop */
export async function main(argv: string[] = process.argv.slice(2)): Promise<number> {
  try {
    const program = await programFor(argv);
    await program.parseAsync(argv, { from: 'user' });
    return Number(process.exitCode ?? EXIT.ok);
  } catch (thrown) {
    return await report(asError(thrown), argv.includes('--json'));
  }
}

async function programFor(argv: string[]): Promise<Command> {
  const wanted = argv.find((argument) => !argument.startsWith('-'));
  const program = new Command('darkroom')
    .description('Event-driven image filters on RabbitMQ.')
    .showHelpAfterError('(see darkroom --help)');
  program.version(await version(), '-V, --version', 'Print the version');
  program.addHelpText(
    'after',
    '\nExample:\n  $ darkroom run photo.jpg --step resize:width=800 --step blur:radius=3 -o small.webp\n\nDEBUG=1 shows stack traces.',
  );
  for (const [name, { summary, load }] of Object.entries(COMMANDS)) {
    if (name === wanted) program.addCommand((await load()).summary(summary));
    else program.command(name).summary(summary).description(summary);
  }
  for (const command of withSubcommands(program))
    command.exitOverride().configureOutput({ writeErr: () => {} });
  if (wanted !== undefined && wanted !== 'help' && COMMANDS[wanted] === undefined) {
    const near = closestName(wanted, Object.keys(COMMANDS));
    throw new UserError(
      `There is no command "${wanted}"${near ? `; did you mean "${near}"?` : '.'} See darkroom --help.`,
    );
  }
  if (wanted === undefined && argv.length === 0) program.action(() => program.outputHelp());
  return program;
}

function withSubcommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)];
}

async function version(): Promise<string> {
  const { default: manifest } = await import('../../package.json', { with: { type: 'json' } });
  return manifest.version;
}

/** Failures of a task that was wrong from the start. */
const MISTAKES = new Set<FailureType>(['unknown-filter', 'invalid-params', 'invalid-task']);

async function report(error: Error, json: boolean): Promise<number> {
  if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok; // --help, --version
  const { note, printJsonLine } = await import('./terminal.ts');
  const isMistake =
    error instanceof UserError ||
    error instanceof CommanderError ||
    (error instanceof TaskFailure && MISTAKES.has(error.failureType));
  const message = redactText(error.message.replace(/^error: /, ''));
  if (json)
    printJsonLine({
      error: message,
      ...(error instanceof TaskFailure && { failure_type: error.failureType }),
    });
  else note(`error: ${message}`);
  if (!json && !isMistake && !(error instanceof TaskFailure))
    note('This is a bug in Darkroom. DEBUG=1 shows where it happened.');
  if (process.env.DEBUG && error.stack) note(redactText(error.stack));
  if (isMistake) return EXIT.usage;
  return error instanceof TaskFailure ? EXIT.failed : EXIT.internal;
}

/** The environment, read once: validated, typed, and with every fault reported together. */
import { resolve } from 'node:path';
import { z } from 'zod';
import { relationFaults } from './config-relations.ts';
import { UserError } from './errors.ts';
import { DEFAULT_LIMITS, photoMemory, photoPixels } from './image/limits.ts';
import { redactText } from './redact.ts';
import { isAllowedBucket } from './storage/allowed-buckets.ts';
import { HOST_RULE_FORMS, parseHostRule } from './storage/https-policy.ts';
import { parseDuration, parseSize } from './units.ts';

const duration = z
  .string()
  .transform((text, issues) => parsed(parseDuration(text), 'a duration such as 500ms, 60s or 5m', issues));
/** A time in which something has to be done. */
const timeLimit = duration.refine((ms) => ms > 0, 'a duration above 0');
const size = (min: number, smallest: string) =>
  z.string().transform((text, issues) => {
    const bytes = parseSize(text);
    const good = bytes !== undefined && bytes >= min;
    return parsed(good ? bytes : undefined, `a size of at least ${smallest}, such as 25MiB or 1GiB`, issues);
  });
const count = (min: number, max: number) =>
  z
    .string()
    .transform((text, issues) =>
      parsed(
        /^\d+$/.test(text) && Number(text) >= min && Number(text) <= max ? Number(text) : undefined,
        `a whole number from ${min} to ${max}`,
        issues,
      ),
    );
const flag = z
  .string()
  .transform((text, issues) =>
    parsed({ true: true, false: false, '1': true, '0': false }[text.toLowerCase()], 'true or false', issues),
  );
/** At least one item, each of which `parse` can read. */
const list = <T>(parse: (item: string) => T | undefined, expected: string) =>
  z.string().transform((text, issues) => {
    const items = text.split(',').map((item) => item.trim());
    const read = items.filter((item) => item !== '').map(parse);
    const good = read.length > 0 && read.every((item) => item !== undefined);
    return parsed(good ? read : undefined, `${expected}, separated by commas`, issues);
  });
const url = (protocols: string[], example: string) =>
  z.string().transform((text, issues) => {
    const good = /^\w+:\/\//.test(text) && URL.canParse(text) && protocols.includes(new URL(text).protocol);
    return parsed(good ? text : undefined, `a URL such as ${example}`, issues);
  });
const name = z.string().regex(/^[a-z][a-z0-9-]*$/, 'a name of lower-case letters, digits and dashes');

function parsed<T>(value: T | undefined, expected: string, context: z.RefinementCtx): T {
  if (value !== undefined) return value;
  context.addIssue({ code: 'custom', message: expected });
  return z.NEVER;
}

/** Of users and groups, as Node takes them. */
const MAX_ID = 2_147_483_647;

/** Every variable with its default. A test compares the README's table with it. */
const VARIABLES = {
  AMQP_URL: url(['amqp:', 'amqps:'], 'amqp://host:5672/vhost').default('amqp://guest:guest@localhost:5672'),
  AMQP_AUTH: z.enum(['plain', 'external'], 'plain or external').default('plain'),
  AMQP_USERNAME_FILE: z.string().optional(),
  AMQP_PASSWORD_FILE: z.string().optional(),
  AMQP_CA_FILE: z.string().optional(),
  AMQP_CERT_FILE: z.string().optional(),
  AMQP_KEY_FILE: z.string().optional(),
  AMQP_KEY_PASSPHRASE_FILE: z.string().optional(),
  AMQP_HEARTBEAT: duration.default(10_000),
  AMQP_CONFIRM_TIMEOUT: timeLimit.default(30_000),
  AMQP_CONNECT_TIMEOUT: timeLimit.default(10_000),
  AMQP_MANAGEMENT_URL: url(['http:', 'https:'], 'http://host:15672').optional(),
  DARKROOM_PREFIX: name.default('darkroom'),
  TRUSTED_USERS: list((item) => item, 'names of users on the broker').default([]),
  REPLY_QUEUES: list((item) => item, 'names of queues, in which * stands for any characters').default([
    'amq.*',
  ]),
  FUNCTION: list((item) => item, 'names of filters').default([]),
  FUNCTIONS_DIR: z.string().default(resolve(import.meta.dirname, '../functions')),
  STORAGE_URL: z.string().optional(),
  STORAGE_BUCKETS: list(
    (item) => (isAllowedBucket(item) ? item : undefined),
    "buckets' names or s3://bucket/prefix?region=…",
  ).default([]),
  STORAGE_REQUIRE_CONDITIONAL_WRITES: flag.default(false),
  ENDED_RETENTION: duration.default(7 * 86_400_000),
  HTTP_PORT: count(0, 65_535).default(9090),
  HTTP_HOST: z.string().optional(),
  TASK_TIMEOUT: timeLimit.default(60_000),
  DRAIN_TIMEOUT: timeLimit.default(90_000),
  TERMINATION_GRACE_PERIOD: timeLimit.default(120_000),
  KEDA_COOLDOWN: timeLimit.default(300_000),
  CONSUMER_TIMEOUT: timeLimit.default(30 * 60_000),
  RETRY_DELAYS: list(
    (item) => parseDuration(item) || undefined,
    'durations above 0, such as 5s,30s,2m,10m',
  ).default([5_000, 30_000, 120_000, 600_000]),
  INPUT_GRACE: duration.default(60_000),
  DELIVERY_LIMIT: count(1, 1_000_000).default(20),
  CRASH_LIMIT: count(1, 1_000_000).default(5),
  SLOTS: count(1, 64).optional(),
  THREADS: count(1, 1_024).optional(),
  CARRY: z.enum(['none', 'light', 'all'], 'none, light or all').default('light'),
  CHILD_MAX_TASKS: count(1, 1_000_000_000).default(1_000),
  CHILD_MAX_MEMORY: size(67_108_864, '64MiB').default(1_073_741_824),
  CHILD_UID: count(1, MAX_ID).optional(),
  CHILD_GID: count(1, MAX_ID).optional(),
  LIMIT_INPUT_BYTES: size(1, '1B').default(25 * 1_048_576),
  LIMIT_PIXELS: count(1, 1e9).optional(),
  LIMIT_FRAMES: count(1, 100_000).default(100),
  LIMIT_OUTPUT_PIXELS: count(1, 1e9).optional(),
  ALLOW_SVG: flag.default(false),
  INPUT_HTTPS: flag.default(false),
  INPUT_HTTPS_HOSTS: list(
    (item) => (parseHostRule(item) ? item : undefined),
    `names of hosts, such as ${HOST_RULE_FORMS}`,
  ).default([]),
  LOG_LEVEL: z
    .enum(
      ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
      'trace, debug, info, warn, error, fatal or silent',
    )
    .default('info'),
  POD_DELETION_COST: flag.default(false),
  POD_NAME: z.string().optional(),
  POD_NAMESPACE: z.string().optional(),
} satisfies Record<string, z.ZodType>;

const schema = z.object(VARIABLES);

/** The names of all variables, for documentation and for keeping secrets from the child. */
export const VARIABLE_NAMES = Object.keys(VARIABLES) as (keyof typeof VARIABLES)[];

type Variables = z.output<typeof schema>;

export type Config = ReturnType<typeof shape>;

/**
 * The configuration in `env`; empty variables count as unset.
 * @throws UserError naming every faulty variable with its value and what was expected.
 */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const set = Object.fromEntries(
    VARIABLE_NAMES.filter((key) => env[key] !== undefined && env[key] !== '').map((key) => [key, env[key]]),
  );
  const result = schema.safeParse(set);
  const faults = result.success
    ? relationFaults(result.data)
    : result.error.issues.map((issue) => fault(issue, set));
  if (faults.length > 0)
    throw new UserError(
      `The environment variables are wrong:\n${faults.map((line) => `  ${line}`).join('\n')}`,
    );
  return shape(result.data as Variables);
}

function fault(issue: z.core.$ZodIssue, set: Record<string, string | undefined>): string {
  const variable = String(issue.path[0]);
  // A URL may carry a password.
  const shown = variable.endsWith('_URL') ? 'a value that is not shown' : JSON.stringify(set[variable]);
  return `${variable}: expected ${issue.message}, got ${redactText(shown)}`;
}

function shape(read: Variables) {
  const amqp = amqpSettings(read);
  return {
    amqp,
    /** All that a client of the management API takes: the login and the certificates are those of AMQP. */
    management: { ...amqp, amqpUrl: amqp.url, managementUrl: read.AMQP_MANAGEMENT_URL },
    prefix: read.DARKROOM_PREFIX,
    trustedUsers: read.TRUSTED_USERS,
    replyQueues: read.REPLY_QUEUES,
    functions: read.FUNCTION,
    functionsDir: read.FUNCTIONS_DIR,
    storage: {
      url: read.STORAGE_URL,
      buckets: read.STORAGE_BUCKETS,
      requireConditionalWrites: read.STORAGE_REQUIRE_CONDITIONAL_WRITES,
      endedRetentionMs: read.ENDED_RETENTION,
    },
    https: { enabled: read.INPUT_HTTPS, hosts: read.INPUT_HTTPS_HOSTS },
    http: { port: read.HTTP_PORT, host: read.HTTP_HOST },
    timeouts: {
      taskMs: read.TASK_TIMEOUT,
      drainMs: read.DRAIN_TIMEOUT,
      graceMs: read.TERMINATION_GRACE_PERIOD,
      cooldownMs: read.KEDA_COOLDOWN,
      consumerMs: read.CONSUMER_TIMEOUT,
    },
    retry: {
      delaysMs: read.RETRY_DELAYS,
      inputGraceMs: read.INPUT_GRACE,
      deliveryLimit: read.DELIVERY_LIMIT,
      crashLimit: read.CRASH_LIMIT,
    },
    /** Undefined: as many as are of use, and fit. */
    slots: read.SLOTS,
    threads: read.THREADS,
    carry: read.CARRY,
    child: {
      maxTasks: read.CHILD_MAX_TASKS,
      maxMemoryBytes: read.CHILD_MAX_MEMORY,
      neededBytes: neededMemory(read),
      uid: read.CHILD_UID,
      gid: read.CHILD_GID ?? read.CHILD_UID,
    },
    limits: imageLimits(read),
    logLevel: read.LOG_LEVEL,
    pod: { deletionCost: read.POD_DELETION_COST, name: read.POD_NAME, namespace: read.POD_NAMESPACE },
  };
}

function amqpSettings(read: Variables) {
  return {
    url: read.AMQP_URL,
    auth: read.AMQP_AUTH,
    usernameFile: read.AMQP_USERNAME_FILE,
    passwordFile: read.AMQP_PASSWORD_FILE,
    caFile: read.AMQP_CA_FILE,
    certFile: read.AMQP_CERT_FILE,
    keyFile: read.AMQP_KEY_FILE,
    keyPassphraseFile: read.AMQP_KEY_PASSPHRASE_FILE,
    heartbeatMs: read.AMQP_HEARTBEAT,
    confirmTimeoutMs: read.AMQP_CONFIRM_TIMEOUT,
    connectTimeoutMs: read.AMQP_CONNECT_TIMEOUT,
  };
}

/** What the pixel limits ask for, bytes; undefined: they are not set, and follow from the memory there is. */
function neededMemory(read: Variables): number | undefined {
  const asked = [read.LIMIT_PIXELS, read.LIMIT_OUTPUT_PIXELS].filter((pixels) => pixels !== undefined);
  return asked.length > 0 ? photoMemory(Math.max(...asked)) : undefined;
}

function imageLimits(read: Variables) {
  const fitting = Math.min(DEFAULT_LIMITS.pixels, photoPixels(read.CHILD_MAX_MEMORY));
  return {
    inputBytes: read.LIMIT_INPUT_BYTES,
    pixels: read.LIMIT_PIXELS ?? fitting,
    frames: read.LIMIT_FRAMES,
    outputPixels: read.LIMIT_OUTPUT_PIXELS ?? fitting,
    svg: read.ALLOW_SVG,
  };
}

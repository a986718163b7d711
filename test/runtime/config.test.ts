import { describe, expect, it } from 'vitest';
import { readConfig } from '../../runtime/config.ts';
import { UserError } from '../../runtime/errors.ts';

describe('the configuration', () => {
  it('has a default for everything', () => {
    const config = readConfig({});

    expect(config.timeouts).toEqual({
      taskMs: 60_000,
      drainMs: 90_000,
      graceMs: 120_000,
      cooldownMs: 300_000,
      consumerMs: 1_800_000,
    });
    expect(config.retry.delaysMs).toEqual([5_000, 30_000, 120_000, 600_000]);
    expect(config.limits).toMatchObject({
      inputBytes: 26_214_400,
      pixels: 50_000_000,
      frames: 100,
      svg: false,
    });
  });

  it('takes an empty variable for an unset one', () => {
    expect(readConfig({ TASK_TIMEOUT: '', ALLOW_SVG: '' })).toEqual(readConfig({}));
  });

  it('reports all faults together, each with name, value and expectation', () => {
    const faulty = {
      TASK_TIMEOUT: 'soon',
      HTTP_PORT: '99999',
      ALLOW_SVG: 'perhaps',
      LOG_LEVEL: 'loud',
      RETRY_DELAYS: '5s,never',
    };

    const read = () => readConfig(faulty);

    expect(read).toThrow(UserError);
    for (const name of Object.keys(faulty)) expect(read).toThrow(`${name}: expected `);
    for (const value of ['soon', '99999', 'perhaps', 'loud', '5s,never']) expect(read).toThrow(value);
  });

  it('never repeats a URL, which may carry a password', () => {
    expect(() => readConfig({ AMQP_URL: 'http://guest:hunter2@broker' })).toThrow(
      /AMQP_URL: expected a URL such as/,
    );
    expect(() => readConfig({ AMQP_URL: 'http://guest:hunter2@broker' })).not.toThrow(/hunter2/);
  });

  it('shows an example of a URL that survives the removal of passwords', () => {
    for (const name of ['AMQP_URL', 'AMQP_MANAGEMENT_URL'])
      expect(() => readConfig({ [name]: 'nonsense' })).toThrow(/such as \w+:\/\/host:\d+/);
  });

  it.each([
    ['RETRY_DELAYS', ','],
    ['RETRY_DELAYS', '5s,0s'],
    ['FUNCTION', ' , '],
    ['INPUT_HTTPS_HOSTS', 'http://x'],
    ['INPUT_HTTPS_HOSTS', 'images.example,https://x/'],
    ['INPUT_HTTPS_HOSTS', 'images.*.example'],
    ['INPUT_HTTPS_HOSTS', ','],
    ['STORAGE_BUCKETS', 'photos,x'],
    ['STORAGE_BUCKETS', 'https://bucket'],
    ['STORAGE_BUCKETS', 's3://x'],
  ])('refuses the list %s = %s', (name, value) => {
    expect(() => readConfig({ [name]: value })).toThrow(
      new RegExp(`${name}: expected .*separated by commas`),
    );
  });

  it('reads lists', () => {
    const config = readConfig({
      RETRY_DELAYS: '1s, 2m',
      FUNCTION: 'resize,blur,',
      INPUT_HTTPS_HOSTS: 'images.example, *.example.org,b\u00fccher.example:8443',
      STORAGE_BUCKETS: 'photos,s3://other/prefix?region=eu-central-1',
    });

    expect(config.retry.delaysMs).toEqual([1_000, 120_000]);
    expect(config.functions).toEqual(['resize', 'blur']);
    expect(config.https.hosts).toEqual(['images.example', '*.example.org', 'b\u00fccher.example:8443']);
    expect(config.storage.buckets).toEqual(['photos', 's3://other/prefix?region=eu-central-1']);
  });

  it.each(['amqp:broker:5672', 'amqp:/broker', 'http://broker', 'amqp://:5672'])(
    'refuses AMQP_URL = %s',
    (value) => {
      expect(() => readConfig({ AMQP_URL: value })).toThrow(/AMQP_URL: expected a URL such as/);
    },
  );

  it('never repeats a password in a list', () => {
    const read = () => readConfig({ STORAGE_BUCKETS: 's3://key:hunter2@bucket' });

    expect(read).toThrow(/STORAGE_BUCKETS: expected/);
    expect(read).not.toThrow(/hunter2/);
  });

  it.each([
    ['TASK_TIMEOUT', '0s'],
    ['AMQP_CONFIRM_TIMEOUT', '0ms'],
    ['CHILD_MAX_MEMORY', '1'],
    ['LIMIT_INPUT_BYTES', '0'],
  ])('refuses %s = %s, under which no task could end', (name, value) => {
    expect(() => readConfig({ [name]: value })).toThrow(`${name}: expected `);
  });

  it.each([
    [{ LIMIT_PIXELS: '200000000' }, /LIMIT_PIXELS \(200000000\) must be at most 93952409 .*at least 2036MiB/],
    [
      { LIMIT_OUTPUT_PIXELS: '50000000', CHILD_MAX_MEMORY: '300MiB' },
      /LIMIT_OUTPUT_PIXELS \(50000000\) must be at most 18035507 .*at least 605MiB/,
    ],
    [{ CHILD_MAX_MEMORY: '64MiB' }, /CHILD_MAX_MEMORY \(64MiB\) must be at least 138MiB/],
  ])('refuses limits that contradict each other, with the numbers to use: %j', (env, message) => {
    expect(() => readConfig(env)).toThrow(message);
  });

  it('takes the numbers that it says', () => {
    expect(() => readConfig({ LIMIT_PIXELS: '93952409' })).not.toThrow();
    expect(() => readConfig({ LIMIT_PIXELS: '200000000', CHILD_MAX_MEMORY: '2036MiB' })).not.toThrow();
    expect(() => readConfig({ CHILD_MAX_MEMORY: '138MiB' })).not.toThrow();
  });

  it('lets pixel limits that nobody set follow from the memory', () => {
    const { limits } = readConfig({ CHILD_MAX_MEMORY: '300MiB' });

    expect(limits).toMatchObject({ pixels: 18_035_507, outputPixels: 18_035_507 });
  });

  it.each([
    ['TASK_TIMEOUT', '90s', 'DRAIN_TIMEOUT'],
    ['DRAIN_TIMEOUT', '2m', 'TERMINATION_GRACE_PERIOD'],
    ['TERMINATION_GRACE_PERIOD', '5m', 'KEDA_COOLDOWN'],
    ['CONSUMER_TIMEOUT', '60s', 'TASK_TIMEOUT'],
  ])('refuses a chain of times that %s = %s breaks', (name, value, other) => {
    expect(() => readConfig({ [name]: value })).toThrow(new RegExp(`${name}|${other}`));
  });
});

/** Trace context through a worker, with and without somewhere for traces to go. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { runProgram } from '../../support/run-program.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const FOLDER = new URL('../../../runtime/telemetry/', import.meta.url).href;
const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const GIVEN = `00-${TRACE_ID}-b7ad6b7169203331-01`;
/** Nobody listens there: what is not exported is not waited for. */
const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' };

/** The trace context after a step, of a worker that has loaded all its telemetry. */
async function afterStep(headers: object, env: NodeJS.ProcessEnv) {
  await using folder = await temporaryFolder();
  const script = join(folder.path, 'trace.mjs');
  await writeFile(
    script,
    `import { Metrics } from '${FOLDER}metrics.ts';
    import { Tracing } from '${FOLDER}tracing.ts';
    const [metrics, tracing] = [new Metrics(), new Tracing()];
    await Promise.all([metrics.load(), tracing.load()]);
    const span = tracing.start('blur', { id: 't' }, { step: 0, attempt: 0 }, ${JSON.stringify(headers)});
    console.log(JSON.stringify(span));
    process.exit();`,
  );
  const { stdout, stderr } = await runProgram(script, [], { ...process.env, ...env });
  expect(stderr).toBe('');
  return JSON.parse(stdout) as { traceparent?: string; traceId?: string };
}

it('carries a traceparent on as it came where traces go nowhere', async () => {
  expect(await afterStep({ traceparent: GIVEN }, {})).toEqual({ traceparent: GIVEN, traceId: TRACE_ID });
  expect(await afterStep({}, {})).toEqual({});
});

it('makes each step a span of the given trace, or of a new one, where traces go somewhere', async () => {
  const { traceparent, traceId } = await afterStep({ traceparent: GIVEN }, ENDPOINT);
  expect(traceId).toBe(TRACE_ID);
  expect(traceparent).toMatch(new RegExp(`^00-${TRACE_ID}-[0-9a-f]{16}-01$`));
  expect(traceparent).not.toBe(GIVEN);

  const fresh = await afterStep({}, ENDPOINT);
  expect(fresh.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
  expect(fresh.traceparent).toContain(fresh.traceId);
});

/** pino, set up once: JSON lines on standard output with ISO times, and no secret in any of them. */
import { type Logger, pino, stdTimeFunctions } from 'pino';
import { capText, redactText } from '../redact.ts';

export type { Logger };

const STACK_CHARACTERS = 8_000;

export function createLog(level: string, base: Record<string, unknown> = {}): Logger {
  return pino({
    level,
    base,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { err: errorFields },
    // The one place that every line passes, with what its loggers and its fields say.
    hooks: { streamWrite: (line) => `${JSON.stringify(JSON.parse(line, redactedString))}\n` },
  });
}

function errorFields(error: Error): Record<string, string> {
  return {
    type: error.name,
    message: capText(error.message),
    stack: capText(error.stack ?? '', STACK_CHARACTERS),
  };
}

function redactedString(_: string, value: unknown): unknown {
  return typeof value === 'string' ? redactText(value) : value;
}

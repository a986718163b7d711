/** pino, set up once: JSON lines on standard output with ISO times. Secrets are removed before they get here. */
import { type Logger, pino, stdTimeFunctions } from 'pino';
import { redactText } from '../redact.ts';

export type { Logger };

export function createLog(level: string, base: Record<string, unknown> = {}): Logger {
  return pino({
    level,
    base,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { err: errorFields },
  });
}

/** An error's message may quote a URL with its password. */
function errorFields(error: Error): Record<string, string> {
  return { type: error.name, message: redactText(error.message), stack: redactText(error.stack ?? '') };
}

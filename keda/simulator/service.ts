/** How long one task keeps a worker busy. */
import { UserError } from '../../runtime/errors.ts';
import { parseDuration } from '../../runtime/units.ts';

/** `fixed`: always the mean. `lognormal`: most near the mean, some far above. `exponential`: for queueing theory. */
export type ServiceTime =
  | { kind: 'fixed'; meanMs: number }
  | { kind: 'lognormal'; meanMs: number; p95Ms: number }
  | { kind: 'exponential'; meanMs: number };

/** 95 % of a normal distribution lies below this many standard deviations. */
const Z95 = 1.644_853_6;
/** A lognormal's 95th percentile cannot be more than this many times its mean. */
const GREATEST_P95_RATIO = Math.exp(Z95 ** 2 / 2);

/** Reads `800ms` or `800ms,p95=2s`. @throws UserError saying what was expected */
export function parseServiceTime(text: string): ServiceTime {
  const [mean = '', ...rest] = text.split(',').map((part) => part.trim());
  const meanMs = positiveDuration(mean, text);
  const [option] = rest;
  if (option === undefined) return { kind: 'fixed', meanMs };
  const p95 = /^p95=(.+)$/.exec(option)?.[1];
  if (p95 === undefined || rest.length > 1) throw expectedServiceTime(text);
  const p95Ms = positiveDuration(p95, text);
  if (p95Ms <= meanMs || p95Ms > meanMs * GREATEST_P95_RATIO) {
    const most = Math.floor(meanMs * GREATEST_P95_RATIO);
    throw new UserError(
      `service time ${text}: p95 must lie above the mean and at or below ${most}ms (3.87 times it)`,
    );
  }
  return { kind: 'lognormal', meanMs, p95Ms };
}

/** A source of service times in milliseconds. */
export function serviceTimes(service: ServiceTime, random: () => number): () => number {
  if (service.kind === 'fixed') return () => service.meanMs;
  if (service.kind === 'exponential') return () => -service.meanMs * Math.log(1 - random());
  const { mu, sigma } = lognormalOf(service);
  return () => Math.exp(mu + sigma * standardNormal(random));
}

/** ln(p95/mean) = z·σ − σ²/2; of the two solutions the smaller σ is the one without an absurd tail. */
function lognormalOf({ meanMs, p95Ms }: Extract<ServiceTime, { kind: 'lognormal' }>): {
  mu: number;
  sigma: number;
} {
  const sigma = Z95 - Math.sqrt(Math.max(0, Z95 ** 2 - 2 * Math.log(p95Ms / meanMs)));
  return { mu: Math.log(meanMs) - sigma ** 2 / 2, sigma };
}

/** Box and Muller's transform. */
function standardNormal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

function positiveDuration(text: string, whole: string): number {
  const ms = parseDuration(text);
  if (ms === undefined || ms <= 0) throw expectedServiceTime(whole);
  return ms;
}

function expectedServiceTime(text: string): UserError {
  return new UserError(`service time ${JSON.stringify(text)}: expected 800ms or 800ms,p95=2s`);
}

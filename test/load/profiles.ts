/** How many tasks come, over how long, and when each of them does. */

import { type ArrivalProfile, type Load, profileLoad } from '../../keda/simulator.ts';
import { UserError } from '../../runtime/errors.ts';

export const LOAD_PROFILES = ['burst', 'ramp', 'steady', 'spike', 'soak', 'mixed'] as const;
export type LoadProfile = (typeof LOAD_PROFILES)[number];

export interface Amount {
  messages: number;
  /** Over which they arrive, milliseconds; a burst comes within its first second. */
  durationMs: number;
}

interface Kind {
  /** In words, for --help. */
  about: string;
  /** The simulator's profile that says when they come. */
  shape: ArrivalProfile;
  /** Tasks a second, on average, unless said otherwise. */
  rate: number;
  durationMs: number;
}

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;

export const PROFILE_KINDS: Record<LoadProfile, Kind> = {
  burst: { about: 'all at once', shape: 'burst', rate: 500, durationMs: SECOND_MS },
  ramp: { about: 'from nothing to twice the mean rate', shape: 'ramp', rate: 5, durationMs: 2 * MINUTE_MS },
  steady: { about: 'the same rate throughout', shape: 'steady', rate: 5, durationMs: MINUTE_MS },
  spike: {
    about: 'ten times the rate for a tenth of the time',
    shape: 'spike',
    rate: 5,
    durationMs: 2 * MINUTE_MS,
  },
  soak: { about: 'steady, for an hour', shape: 'steady', rate: 2, durationMs: 60 * MINUTE_MS },
  mixed: {
    about: 'heavy tasks of several steps and light ones, steadily',
    shape: 'steady',
    rate: 2,
    durationMs: MINUTE_MS,
  },
};

/**
 * Messages, duration and rate hang together: two of them give the third, and the profile gives what is not said.
 * @throws UserError when they contradict each other
 */
export function amountOf(
  profile: LoadProfile,
  given: { messages?: number | undefined; durationMs?: number | undefined; rate?: number | undefined },
): Amount {
  const { messages, durationMs, rate } = given;
  const kind = PROFILE_KINDS[profile];
  if (profile === 'burst') {
    if (durationMs !== undefined || rate !== undefined)
      throw new UserError(
        'A burst comes all at once: it has neither --duration nor --rate. For a rate, --profile steady.',
      );
    return { messages: messages ?? kind.rate, durationMs: kind.durationMs };
  }
  if (messages !== undefined && durationMs !== undefined && rate !== undefined)
    throw new UserError(
      'Of --messages, --duration and --rate give two at most: the third follows from them.',
    );
  if (messages !== undefined && rate !== undefined)
    return { messages, durationMs: Math.ceil((messages / rate) * SECOND_MS) };
  const overMs = durationMs ?? kind.durationMs;
  return {
    messages: messages ?? Math.max(1, Math.round(((rate ?? kind.rate) * overMs) / SECOND_MS)),
    durationMs: overMs,
  };
}

/** The same seed gives the same arrivals, those that `darkroom simulate` draws too. */
export function arrivalsOf(profile: LoadProfile, { messages, durationMs }: Amount, seed: number): Load {
  return profileLoad(PROFILE_KINDS[profile].shape, messages, durationMs, seed);
}

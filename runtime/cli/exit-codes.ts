/** How commands end. */

/** 0 done, 1 work failed, 2 a mistake in the call or the configuration, 70 a bug in Darkroom, 130 interrupted. */
export const EXIT = { ok: 0, failed: 1, usage: 2, internal: 70, interrupted: 130 } as const;

/** Settings of the scaling model from the chart's values, with the defaults that KEDA and Kubernetes fill in. */
import { z } from 'zod';
import { UserError } from '../../runtime/errors.ts';
import { validationMessage } from '../../runtime/validation-message.ts';
import { functionValues, type Values } from '../values.ts';
import type { Fallback, ScalingBehavior, ScalingRules, ScalingSettings } from './types.ts';

/** What holds where the values say nothing. */
export const DEFAULT_SETTINGS: ScalingSettings = {
  minReplicas: 0,
  maxReplicas: 10,
  slots: 1,
  messagesPerReplica: 5,
  activationMessages: 0,
  wakeUp: 'amqp',
  pollingIntervalMs: 2_000,
  cooldownMs: 300_000,
  initialCooldownMs: 0,
  metric: 'busy-floor',
  useCachedMetrics: false,
  fallback: null,
  behavior: null,
  tolerance: { scaleUp: 0.1, scaleDown: 0.1 },
  hpaSyncIntervalMs: 15_000,
  hpaSyncJitterMs: 0,
};

/** Under the outage policy `atLeast`: failed readings in a row before KEDA's fallback replaces the metric. */
const FAILURE_THRESHOLD = 6;

/** What Kubernetes fills in where a `behavior` leaves out a direction or a part of it. */
export const DEFAULT_RULES: ScalingBehavior = {
  scaleUp: {
    stabilizationWindowMs: 0,
    selectPolicy: 'Max',
    policies: [
      { type: 'Pods', value: 4, periodMs: 15_000 },
      { type: 'Percent', value: 100, periodMs: 15_000 },
    ],
  },
  scaleDown: {
    stabilizationWindowMs: 300_000,
    selectPolicy: 'Max',
    policies: [{ type: 'Percent', value: 100, periodMs: 15_000 }],
  },
};

const whole = z.int().min(0);
const slots = z.int().min(1).default(DEFAULT_SETTINGS.slots);
const rules = z.object({
  stabilizationWindowSeconds: z.int().min(0).max(3_600).optional(),
  selectPolicy: z.enum(['Max', 'Min', 'Disabled']).optional(),
  policies: z
    .array(
      z.object({
        type: z.enum(['Pods', 'Percent']),
        value: z.int().min(1),
        periodSeconds: z.int().min(1).max(1_800),
      }),
    )
    .optional(),
  tolerance: z.coerce.number().min(0).optional(),
});
const behavior = z.object({ scaleUp: rules.optional(), scaleDown: rules.optional() });
const outage = z.object({
  policy: z.enum(['freeze', 'atLeast']).default('freeze'),
  replicas: whole.default(1),
  failureThreshold: whole.default(FAILURE_THRESHOLD),
});
const scalingOptions = z.object({
  engine: z.enum(['keda', 'cpu', 'none']).default('keda'),
  minReplicas: whole.default(DEFAULT_SETTINGS.minReplicas),
  maxReplicas: z.int().min(1).default(DEFAULT_SETTINGS.maxReplicas),
  messagesPerReplica: z.number().positive().default(DEFAULT_SETTINGS.messagesPerReplica),
  activationMessages: whole.default(DEFAULT_SETTINGS.activationMessages),
  wakeUp: z.enum(['amqp', 'http']).default(DEFAULT_SETTINGS.wakeUp),
  pollingInterval: z
    .number()
    .positive()
    .default(DEFAULT_SETTINGS.pollingIntervalMs / 1_000),
  cooldownPeriod: z
    .number()
    .min(0)
    .default(DEFAULT_SETTINGS.cooldownMs / 1_000),
  initialCooldownPeriod: z
    .number()
    .min(0)
    .default(DEFAULT_SETTINGS.initialCooldownMs / 1_000),
  useCachedMetrics: z.boolean().default(DEFAULT_SETTINGS.useCachedMetrics),
  behavior: behavior.nullish(),
  outage: outage.nullish(),
});
const options = z.object({ slots, scaling: scalingOptions });
type Rules = z.output<typeof rules>;

/**
 * The settings of one function: `slots` and `scaling` of `defaults` with those of `functions.<name>` over them. An empty
 * name gives the defaults alone.
 *
 * @throws UserError for an unknown function, or naming every wrong value
 */
export function settingsFromValues(values: Values, functionName: string): ScalingSettings {
  const own = functionValues(values, functionName);
  const given = { slots: own.slots ?? undefined, scaling: own.scaling ?? {} };
  const at = functionName === '' ? 'defaults' : `functions.${functionName}`;
  const parsed = options.safeParse(given);
  if (!parsed.success) throw new UserError(validationMessage(parsed.error, given, options, at));
  const {
    pollingInterval,
    cooldownPeriod,
    initialCooldownPeriod,
    outage: policy,
    behavior: rates,
    engine,
    ...rest
  } = parsed.data.scaling;
  if (rest.minReplicas > rest.maxReplicas)
    throw new UserError(
      `${at}.scaling: minReplicas ${rest.minReplicas} is above maxReplicas ${rest.maxReplicas}`,
    );
  if (engine !== 'keda')
    throw new UserError(`${at}.scaling: the model supports engine keda only, not ${engine}`);
  return {
    ...DEFAULT_SETTINGS,
    ...rest,
    slots: parsed.data.slots,
    pollingIntervalMs: pollingInterval * 1_000,
    cooldownMs: cooldownPeriod * 1_000,
    initialCooldownMs: initialCooldownPeriod * 1_000,
    fallback: policy?.policy === 'atLeast' ? atLeastFallback(policy) : null,
    behavior: isEmpty(rates)
      ? null
      : { scaleUp: rulesOf('scaleUp', rates), scaleDown: rulesOf('scaleDown', rates) },
    tolerance: {
      scaleUp: rates?.scaleUp?.tolerance ?? DEFAULT_SETTINGS.tolerance.scaleUp,
      scaleDown: rates?.scaleDown?.tolerance ?? DEFAULT_SETTINGS.tolerance.scaleDown,
    },
  };
}

/** Keeps what runs, and never fewer than `replicas`. */
function atLeastFallback({ failureThreshold, replicas }: z.output<typeof outage>): Fallback {
  return { failureThreshold, replicas: Math.max(1, replicas), behavior: 'currentReplicasIfHigher' };
}

function rulesOf(
  direction: keyof ScalingBehavior,
  rates: z.output<typeof behavior> | null | undefined,
): ScalingRules {
  const given: Rules = rates?.[direction] ?? {};
  const defaults = DEFAULT_RULES[direction];
  return {
    stabilizationWindowMs:
      given.stabilizationWindowSeconds === undefined
        ? defaults.stabilizationWindowMs
        : given.stabilizationWindowSeconds * 1_000,
    selectPolicy: given.selectPolicy ?? defaults.selectPolicy,
    policies:
      given.policies?.map(({ type, value, periodSeconds }) => ({
        type,
        value,
        periodMs: periodSeconds * 1_000,
      })) ?? defaults.policies,
  };
}

/** The chart leaves an empty `behavior` out of the ScaledObject, so its HPA has none. */
function isEmpty(rates: z.output<typeof behavior> | null | undefined): boolean {
  return rates === null || rates === undefined || Object.keys(rates).length === 0;
}

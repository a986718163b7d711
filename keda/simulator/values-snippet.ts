/** Settings as a values file has them: only what differs from the present ones. */
import { stringify } from 'yaml';
import type { ScalingRules, ScalingSettings } from '../model.ts';

/** YAML to paste into a values file. Without a name it goes to `defaults`. */
export function valuesSnippet(
  settings: ScalingSettings,
  current: ScalingSettings,
  functionName?: string,
): string {
  const scaling = changedKeys(settings, current);
  const values =
    functionName === undefined ? { defaults: { scaling } } : { functions: { [functionName]: { scaling } } };
  return stringify(values).trimEnd();
}

function changedKeys(settings: ScalingSettings, current: ScalingSettings): Record<string, unknown> {
  const changed: Record<string, unknown> = {};
  if (settings.messagesPerReplica !== current.messagesPerReplica)
    changed.messagesPerReplica = settings.messagesPerReplica;
  if (settings.maxReplicas !== current.maxReplicas) changed.maxReplicas = settings.maxReplicas;
  if (settings.pollingIntervalMs !== current.pollingIntervalMs)
    changed.pollingInterval = settings.pollingIntervalMs / 1_000;
  const scaleUp = settings.behavior?.scaleUp;
  if (scaleUp !== undefined && JSON.stringify(scaleUp) !== JSON.stringify(current.behavior?.scaleUp)) {
    changed.behavior = { scaleUp: rulesAsValues(scaleUp) };
  }
  return changed;
}

function rulesAsValues({ stabilizationWindowMs, selectPolicy, policies }: ScalingRules): object {
  return {
    stabilizationWindowSeconds: stabilizationWindowMs / 1_000,
    selectPolicy,
    policies: policies.map(({ type, value, periodMs }) => ({ type, value, periodSeconds: periodMs / 1_000 })),
  };
}

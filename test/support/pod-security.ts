/** The restricted Pod Security profile, rule by rule. https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted */
import type { Container, PodSpec } from './chart.ts';
import { get } from './chart.ts';
import { words } from './words.ts';

const VOLUME_KINDS = words(
  'configMap csi downwardAPI emptyDir ephemeral persistentVolumeClaim projected secret',
);

/** What a pod does that the profile forbids, and what it leaves out that this project asks for besides. */
export function podSecurityFaults(pod: PodSpec): string[] {
  const containers = [...pod.containers, ...((pod.initContainers as Container[] | undefined) ?? [])];
  return [
    ...podFaults(pod),
    ...containers.flatMap((container) =>
      containerFaults(container).map((fault) => `${container.name}: ${fault}`),
    ),
  ];
}

function podFaults(pod: PodSpec): string[] {
  const faults = ['hostNetwork', 'hostPID', 'hostIPC'].filter((key) => pod[key] === true);
  if (get(pod, 'securityContext.runAsNonRoot') !== true) faults.push('runAsNonRoot is not true');
  if (get(pod, 'securityContext.runAsUser') === 0) faults.push('runs as root');
  if (get(pod, 'securityContext.seccompProfile.type') !== 'RuntimeDefault') faults.push('no seccomp profile');
  if (pod.automountServiceAccountToken === undefined) faults.push('says nothing about the token');
  for (const volume of pod.volumes ?? []) {
    const kind = Object.keys(volume).find((key) => key !== 'name') ?? 'none';
    if (!VOLUME_KINDS.includes(kind)) faults.push(`a volume of kind ${kind}`);
    if (kind === 'emptyDir' && get(volume, 'emptyDir.sizeLimit') === undefined) {
      faults.push(`the emptyDir ${volume.name} has no size`);
    }
  }
  return faults;
}

function containerFaults(container: Container): string[] {
  const faults: string[] = [];
  const context = container.securityContext;
  if (get(context, 'allowPrivilegeEscalation') !== false) faults.push('may escalate privileges');
  if (get(context, 'privileged') === true) faults.push('is privileged');
  if (get(context, 'readOnlyRootFilesystem') !== true) faults.push('its root can be written to');
  if (String(get(context, 'capabilities.drop')) !== 'ALL') faults.push('does not drop all capabilities');
  if (get(context, 'capabilities.add') !== undefined) faults.push('adds capabilities');
  if (get(container, 'resources.limits.memory') === undefined) faults.push('has no memory limit');
  for (const port of (container.ports as { hostPort?: number }[] | undefined) ?? []) {
    if (port.hostPort !== undefined) faults.push('uses a port of the host');
  }
  return faults;
}

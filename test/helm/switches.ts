/** Every switch of the chart, each turned once, alone or with what it needs. Two functions stand for all. */
import { listFunctions } from '../../runtime/functions.ts';

const KEPT = ['blur', 'resize'];
/** Leaves the other functions out. */
export const FEWER = Object.fromEntries(
  listFunctions()
    .filter((name) => !KEPT.includes(name))
    .map((name) => [`functions.${name}`, null]),
);

/** The values that turn one switch. */
export function turned(name: keyof typeof SWITCHES): Record<string, unknown> {
  return { ...FEWER, ...SWITCHES[name] };
}

export const SWITCHES = {
  'demo broker': {
    'demoBroker.enabled': true,
    'storage.url': 'file:///data',
    'storage.volume.enabled': true,
  },
  'topology operator': { 'topology.mode': 'operator' },
  'topology operator, broker elsewhere': {
    'topology.mode': 'operator',
    'topology.operator.connectionSecret': 'broker-elsewhere',
  },
  'no topology': { 'topology.mode': 'none' },
  'External Secrets': {
    'externalSecrets.enabled': true,
    'externalSecrets.secretStoreRef.name': 'vault',
    'externalSecrets.worker.remoteKey': 'prod/darkroom/worker',
    'externalSecrets.admin.remoteKey': 'prod/darkroom/admin',
    'externalSecrets.monitor.remoteKey': 'prod/darkroom/monitor',
    'externalSecrets.storage.remoteKey': 'prod/darkroom/storage',
    'storage.existingSecret': 'darkroom-storage',
  },
  'Azure App Configuration': {
    'azureAppConfiguration.enabled': true,
    'azureAppConfiguration.endpoint': 'https://darkroom.azconfig.io',
    'azureAppConfiguration.labelFilter': 'prod',
    'azureAppConfiguration.secretName': 'darkroom-key-vault',
  },
  monitoring: {
    'monitoring.podMonitor.enabled': true,
    'monitoring.rules.enabled': true,
    'monitoring.dashboard.enabled': true,
  },
  'mutual TLS': {
    'broker.url': 'amqps://rabbitmq.rabbitmq.svc:5671',
    'broker.managementUrl': 'https://rabbitmq.rabbitmq.svc:15671',
    'broker.auth': 'external',
    'broker.tls.existingSecret': 'darkroom-broker-tls',
    'broker.tls.clientCertificate': true,
  },
  'spot preferred': { 'defaults.spot': { enabled: true, mode: 'prefer' } },
  'spot required': { 'defaults.spot': { enabled: true, mode: 'require' } },
  'workload identity': {
    'serviceAccount.annotations': {
      'azure.workload.identity/client-id': '00000000-0000-0000-0000-000000000000',
    },
    'defaults.podLabels': { 'azure.workload.identity/use': 'true' },
  },
  'deletion cost for the own pod only': { 'serviceAccount.restrictToOwnPod': true },
  'no deletion cost': { 'defaults.deletionCost': false },
  'autoscaling on CPU': { 'defaults.scaling.engine': 'cpu' },
  'outage floor': { 'defaults.scaling.outage': { policy: 'atLeast', replicas: 2 } },
  'activation threshold': { 'defaults.scaling.activationMessages': 5 },
  'four slots, nothing carried': {
    'defaults.slots': 4,
    'defaults.carry': 'none',
    'defaults.resources.limits.memory': '6Gi',
  },
  'wake-up by the management API': { 'defaults.scaling.wakeUp': 'http' },
  'login by URL': { 'broker.monitor.hostKey': 'host', 'broker.monitor.amqpHostKey': 'uri' },
  'cached metrics': { 'defaults.scaling.useCachedMetrics': true },
  'no network policies': { 'networkPolicy.enabled': false },
  'no disruption budgets': { 'defaults.podDisruptionBudget.enabled': false },
  'no smoke test': { 'smokeTest.enabled': false },
  'image by digest, with a pull secret': {
    'defaults.image.digest': `sha256:${'0'.repeat(64)}`,
    imagePullSecrets: [{ name: 'registry' }],
  },
  tracing: { otlpEndpoint: 'http://collector.telemetry.svc:4318' },
  'inputs over HTTPS': { 'httpsInputs.enabled': true, 'httpsInputs.hosts': ['images.example.com'] },
  'scheduling by hand': {
    'defaults.nodeSelector': { pool: 'images' },
    'defaults.tolerations': [{ key: 'images', operator: 'Exists' }],
    'defaults.affinity': { podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [] } },
    'defaults.priorityClassName': 'batch',
  },
  extras: {
    'defaults.extraEnv': [{ name: 'TOKEN', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }],
    'defaults.extraEnvFrom': [{ configMapRef: { name: 'more' } }],
    'defaults.extraVolumes': [{ name: 'more', configMap: { name: 'more' } }],
    'defaults.extraVolumeMounts': [{ name: 'more', mountPath: '/more' }],
    'defaults.podAnnotations': { 'example.com/note': 'yes' },
    commonLabels: { team: 'images' },
    'networkPolicy.extraEgress': [{ ports: [{ port: 4317 }] }],
    'networkPolicy.extraIngress': [{ ports: [{ port: 9090 }], from: [{ podSelector: {} }] }],
    extraObjects: [
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: '{{ .Release.Name }}-more' },
        data: { a: 'b' },
      },
    ],
  },
} satisfies Record<string, Record<string, unknown>>;

export const SWITCH_NAMES = Object.keys(SWITCHES) as (keyof typeof SWITCHES)[];

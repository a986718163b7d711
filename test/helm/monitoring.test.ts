import { parser } from '@prometheus-io/lezer-promql';
import { describe, expect, it } from 'vitest';
import { get, one, render } from '../support/chart.ts';
import { words } from '../support/words.ts';
import { turned } from './switches.ts';

const objects = render({ set: turned('monitoring') });

/** What Darkroom, KEDA, RabbitMQ, kube-state-metrics and the kubelet export. */
const KNOWN_METRICS =
  /^(darkroom_(tasks_total|task_phase_seconds_(bucket|sum|count)|bytes_total|tasks_in_flight|broker_connected|consuming|child_restarts_total)|rabbitmq_detailed_queue_(messages(_ready|_unacked)?|consumers)|keda_scaler_detail_errors_total|kube_(deployment|horizontalpodautoscaler|pod_container)_\w+|container_memory_working_set_bytes)$/;

function faultsIn(expression: string): string[] {
  const faults: string[] = [];
  parser.parse(expression).iterate({
    enter(node) {
      if (node.type.isError) faults.push(`syntax error at ${node.from} of ${expression}`);
      if (node.name === 'VectorSelector') {
        const metric = /^\w+/.exec(expression.slice(node.from, node.to))?.[0] ?? '';
        if (!KNOWN_METRICS.test(metric)) faults.push(`unknown metric ${metric}`);
      }
    },
  });
  return faults;
}

interface Rule {
  alert: string;
  expr: string;
  annotations: { summary: string; description: string };
}

async function rules(): Promise<Rule[]> {
  return get(one(await objects, 'PrometheusRule', 'darkroom'), 'spec.groups.0.rules') as Rule[];
}

describe('alerts', () => {
  it('are valid PromQL over metrics that are exported', async () => {
    for (const { expr } of await rules()) expect(faultsIn(expr)).toEqual([]);
  });

  it('cover dead letters, queues without pods, scaler errors, inactive HPAs and task age', async () => {
    expect((await rules()).map(({ alert }) => alert)).toEqual(
      words(`
      DarkroomDeadLetters DarkroomQueueWithoutWorkers DarkroomScalerErrors DarkroomHpaInactive
      DarkroomTasksWaitTooLong DarkroomAtMaximum DarkroomWorkerNotConsuming
    `),
    );
  });

  it('say what is wrong and what to do', async () => {
    for (const { annotations } of await rules()) {
      expect(annotations.summary).toMatch(/\.$/);
      expect(annotations.description.length).toBeGreaterThan(20);
    }
  });
});

describe('the dashboard', () => {
  it('is JSON whose every query is valid PromQL over metrics that are exported', async () => {
    const text = one(await objects, 'ConfigMap', 'darkroom-dashboard').data?.['darkroom.json'] ?? '';
    const panels = JSON.parse(text).panels as { targets?: { expr: string }[] }[];
    const expressions = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));

    expect(expressions.length).toBeGreaterThan(15);
    for (const expression of expressions) expect(faultsIn(expression)).toEqual([]);
  });
});

describe('scraping', () => {
  it('reads the port that the workers name', async () => {
    const monitor = one(await objects, 'PodMonitor', 'darkroom');
    const worker = one(await objects, 'Deployment', 'darkroom-blur');

    expect(get(monitor, 'spec.podMetricsEndpoints.0')).toMatchObject({ port: 'http', path: '/metrics' });
    expect(get(worker, 'spec.template.spec.containers.0.ports')).toEqual([
      { name: 'http', containerPort: 9090 },
    ]);
    expect(get(worker, 'spec.template.metadata.labels')).toMatchObject(
      get(monitor, 'spec.selector.matchLabels') as object,
    );
  });
});

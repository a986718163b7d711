/** The files that are made from the chart and kept in the repository: their paths, and what they should hold. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  Document,
  isCollection,
  isMap,
  isNode,
  isScalar,
  parseDocument,
  type Scalar,
  stringify,
  visit,
  type YAMLMap,
} from 'yaml';
import {
  ENVIRONMENTS,
  helm,
  type KubeObject,
  NAMESPACE,
  parseManifests,
  RELEASE,
  ROOT,
  render,
  renderText,
  valueArguments,
} from '../support/chart.ts';
import { words } from '../support/words.ts';
import { type Differences, differences } from './differences.ts';
import { FEWER, SWITCH_NAMES, turned } from './switches.ts';

export interface Generated {
  path: string;
  text(): Promise<string>;
}

const GOLDEN_FOLDER = join(ROOT, 'test/helm/golden');
const OWN_VALUES = 'chart.yaml';

/**
 * What a change to the chart changes is seen in review: the chart's own values whole, with two functions for all; of
 * each switch and each environment what differs.
 */
export const GOLDEN: Generated[] = [
  { path: join(GOLDEN_FOLDER, OWN_VALUES), text: () => renderText({ set: FEWER }) },
  {
    path: join(GOLDEN_FOLDER, 'switches.yaml'),
    text: async () => differencesText(await switchDifferences()),
  },
  ...ENVIRONMENTS.map((environment) => ({
    path: join(GOLDEN_FOLDER, `${environment}.yaml`),
    text: async () => differencesText(nearest(await render({ environment }), await switchRenders())),
  })),
];

type Renders = Map<string, KubeObject[]>;

/** By name: the chart's own values, and each switch turned. */
async function switchRenders(): Promise<Renders> {
  const renders: Renders = new Map([[OWN_VALUES, await render({ set: FEWER })]]);
  for (const name of SWITCH_NAMES) renders.set(name, await render({ set: turned(name) }));
  return renders;
}

async function switchDifferences(): Promise<object> {
  const renders = [...(await switchRenders())];
  return Object.fromEntries(
    renders
      .slice(1)
      .map(([name, objects], index) => [name, nearest(objects, new Map(renders.slice(0, index + 1)))]),
  );
}

/** The differences from the render to which there are the fewest. */
function nearest(objects: KubeObject[], bases: Renders): Differences & { from: string } {
  const all = [...bases].map(([from, base]) => ({ from, ...differences(base, objects) }));
  const [least] = all.sort((a, b) => JSON.stringify(a).length - JSON.stringify(b).length);
  return least!;
}

function differencesText(value: object): string {
  const document = new Document(value, { aliasDuplicateObjects: false });
  // What is at a path is told in a line or two.
  visit(document, {
    Pair: (_, { key, value }) => {
      if (isScalar(key) && /[.[]/.test(String(key.value)) && isCollection(value)) value.flow = true;
    },
  });
  return document.toString({ lineWidth: 110 });
}

/** For those who don't use Helm, from the chart's own values, in the order in which they are applied. */
const PARTS: [file: string, templates: string[]][] = [
  ['1-topology.yaml', ['topology/job.yaml']],
  [
    '2-workers.yaml',
    words(`
      workers/service-account.yaml workers/deletion-cost.yaml workers/configmap.yaml
      workers/deployments.yaml workers/disruption-budgets.yaml network/policies.yaml
    `),
  ],
  ['3-scaling.yaml', ['keda/trigger-authentication.yaml', 'keda/scaled-objects.yaml']],
];

export const MANIFESTS: Generated[] = PARTS.map(([file, templates]) => ({
  path: join(ROOT, 'keda/manifests', file),
  text: () => manifest(templates),
}));

async function manifest(templates: string[]): Promise<string> {
  const only = templates.flatMap((template) => ['--show-only', `templates/${template}`]);
  const objects = parseManifests(await helm('template', RELEASE, ...valueArguments({}), ...only));
  // What marks them as Helm's would mislead here.
  const plain = objects.map((object) => JSON.parse(JSON.stringify(object), withoutHelm));
  const head = `# Made by \`npm run manifests\` from the chart's default values, for kubectl apply -n ${NAMESPACE} -f. Change those, not this.\n`;
  return (
    head +
    plain
      .map((object) => `---\n${stringify(object, { lineWidth: 0, aliasDuplicateObjects: false })}`)
      .join('')
  );
}

const TABLE_START = '<!-- values: npm run manifests -->';
const TABLE_END = '<!-- end of values -->';

/** helm/README.md with its table of values made anew from values.yaml. */
export const README: Generated = {
  path: join(ROOT, 'helm/README.md'),
  async text() {
    const readme = await readFile(this.path, 'utf8');
    const [before = '', rest = ''] = readme.split(TABLE_START);
    const after = rest.split(TABLE_END)[1] ?? '';
    const rows = valueRows(
      parseDocument(await readFile(join(ROOT, 'helm/values.yaml'), 'utf8')).contents as YAMLMap<
        Scalar<string>
      >,
    );
    return `${before}${TABLE_START}\n| value | default | |\n|---|---|---|\n${rows.join('\n')}\n${TABLE_END}${after}`;
  },
};

/** A row for each leaf, with the comment above it or above the map that it is in first place of. */
function valueRows(
  map: YAMLMap<Scalar<string>, unknown>,
  path = '',
  above = map.commentBefore ?? '',
): string[] {
  return map.items.flatMap(({ key, value }, index) => {
    const at = path === '' ? key.value : `${path}.${key.value}`;
    const comment = key.commentBefore ?? (index === 0 ? above : '');
    const nested = isMap<Scalar<string>, unknown>(value) && !value.flow && at !== 'functions';
    return nested ? valueRows(value, at, value.commentBefore ?? comment) : [valueRow(at, value, comment)];
  });
}

function valueRow(path: string, node: unknown, comment: string): string {
  const value = isNode(node) ? node.toJSON() : node;
  const shown = path === 'functions' ? Object.keys(value as object).join(', ') : JSON.stringify(value);
  const why = comment
    .replace(/\s*\n\s*/g, ' ')
    .trim()
    .replaceAll('|', '\\|');
  return `| \`${path}\` | ${value === '' ? '' : `\`${shown}\``} | ${why} |`;
}

function withoutHelm(key: string, value: unknown): unknown {
  if (key === 'helm.sh/chart' || key === 'app.kubernetes.io/managed-by' || /^helm\.sh\/hook/.test(key))
    return undefined;
  if (key === 'annotations' && Object.keys(value as object).length === 0) return undefined;
  return value;
}

/** Renders the chart with the real helm, and finds one's way in what it made. */
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import { runTool } from './kube-tools.ts';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
export const CHART = fileURLToPath(new URL('../../helm', import.meta.url));
export const ENVIRONMENTS = ['dev', 'staging', 'prod'] as const;
export const RELEASE = 'darkroom';
export const NAMESPACE = 'darkroom';

/** What is read of a Kubernetes object; the rest is reached by `get`. */
export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
  };
  spec?: Record<string, unknown>;
  data?: Record<string, string>;
  stringData?: Record<string, string>;
}

export interface RenderOptions {
  /** dev, staging or prod; default the chart's own values. */
  environment?: (typeof ENVIRONMENTS)[number];
  /** Laid over them, as `--set-json`: path → value. */
  set?: Record<string, unknown>;
  chart?: string;
  release?: string;
}

const rendered = new Map<string, Promise<string>>();

/** The manifests as text. The same options render once. */
export function renderText(options: RenderOptions = {}): Promise<string> {
  const key = JSON.stringify(options);
  let text = rendered.get(key);
  if (text === undefined) {
    text = helm('template', options.release ?? RELEASE, ...valueArguments(options));
    rendered.set(key, text);
  }
  return text;
}

export async function render(options: RenderOptions = {}): Promise<KubeObject[]> {
  return parseManifests(await renderText(options));
}

export function parseManifests(text: string): KubeObject[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS({ maxAliasCount: -1 }) as KubeObject | null)
    .filter((object) => object !== null);
}

/** helm's complaint about these values. @throws when it has none */
export async function renderFault(options: RenderOptions): Promise<string> {
  try {
    await renderText(options);
  } catch (error) {
    return (error as { stderr: string }).stderr;
  }
  throw new Error(`helm accepts ${JSON.stringify(options)}`);
}

/** Chart, namespace and values, for template, lint and the like. */
export function valueArguments({ environment, set = {}, chart = CHART }: RenderOptions): string[] {
  return [
    chart,
    '--namespace',
    NAMESPACE,
    ...(environment === undefined ? [] : ['--values', `${chart}/values-${environment}.yaml`]),
    ...Object.entries(set).flatMap(([path, value]) => ['--set-json', `${path}=${JSON.stringify(value)}`]),
  ];
}

/** Runs helm; resolves to what it prints. */
export function helm(...args: string[]): Promise<string> {
  return runTool('helm', args);
}

export function ofKind(objects: KubeObject[], kind: string): KubeObject[] {
  return objects.filter((object) => object.kind === kind);
}

/** The object of this kind and name. @throws naming those that there are */
export function one(objects: KubeObject[], kind: string, name: string): KubeObject {
  const all = ofKind(objects, kind);
  const match = all.find((object) => object.metadata.name === name);
  if (match === undefined)
    throw new Error(`no ${kind} ${name}; there are ${all.map((object) => object.metadata.name).join(', ')}`);
  return match;
}

/** What lies at a path: `get(deployment, 'spec.template.spec.containers.0.image')`. */
export function get(object: unknown, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], object);
}

export interface PodSpec {
  containers: Container[];
  volumes?: Record<string, unknown>[];
  [key: string]: unknown;
}

export interface Container {
  name: string;
  image: string;
  args?: string[];
  env?: { name: string; value?: string }[];
  [key: string]: unknown;
}

/** Every pod that the objects make, with the name of what makes it. */
export function pods(
  objects: KubeObject[],
): { name: string; labels: Record<string, string>; spec: PodSpec }[] {
  return objects.flatMap((object) => {
    const template = object.kind === 'Pod' ? object : get(object, 'spec.template');
    if (object.kind !== 'Pod' && get(template, 'spec.containers') === undefined) return [];
    const labels = get(template, 'metadata.labels') as Record<string, string>;
    const spec = get(template, 'spec') as PodSpec;
    return [{ name: `${object.kind} ${object.metadata.name}`, labels, spec }];
  });
}

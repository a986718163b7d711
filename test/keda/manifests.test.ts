import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { MANIFESTS } from '../helm/generated.ts';
import { ofKind, parseManifests, ROOT, render } from '../support/chart.ts';
import { modelFaults } from '../support/kube-models.ts';

describe('keda/manifests', () => {
  it.each(MANIFESTS.map((file) => [basename(file.path), file] as const))(
    '%s is what the chart renders (npm run manifests writes it anew)',
    async (_name, { path, text }) => {
      expect(await text()).toBe(await readFile(path, 'utf8'));
    },
  );

  it('hold the same ScaledObjects as the chart, spec by spec', async () => {
    const plain = parseManifests(await readFile(join(ROOT, 'keda/manifests/3-scaling.yaml'), 'utf8'));

    const specs = (objects: typeof plain) =>
      ofKind(objects, 'ScaledObject').map(({ metadata, spec }) => [metadata.name, spec]);
    expect(specs(plain)).toEqual(specs(await render()));
  });

  it('keep to the schemas, and carry no mark of Helm', async () => {
    const texts = await Promise.all(MANIFESTS.map(({ path }) => readFile(path, 'utf8')));

    expect(await modelFaults(texts.flatMap(parseManifests))).toEqual([]);
    expect(texts.join()).not.toContain('helm.sh/');
  });
});

describe('keda/operator-values.yaml', () => {
  it('pins every image of KEDA to one version, which the docs install', async () => {
    const values = parse(await readFile(join(ROOT, 'keda/operator-values.yaml'), 'utf8'));
    const readme = await readFile(join(ROOT, 'keda/README.md'), 'utf8');
    const { keda, metricsApiServer, webhooks } = values.image;

    expect(new Set([keda.tag, metricsApiServer.tag, webhooks.tag])).toEqual(new Set(['2.20.2']));
    expect(readme).toContain(`--version ${keda.tag} -f keda/operator-values.yaml`);
  });
});

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { describeFunction } from '../../runtime/cli/describe-function.ts';
import { Rejection, UserError } from '../../runtime/errors.ts';
import { FUNCTIONS_DIR, listFunctions, loadFunction, parseParams } from '../../runtime/functions.ts';
import { words } from '../support/words.ts';

const FILTERS = words(`
  blur brightness contrast convert crop edges flip grayscale info resize rotate saturation sharpen
  watermark
`);

/**
 * Milliseconds of CPU a megapixel, at the most with usual parameters, over a decoded photo of 12 megapixels on one core.
 * A resize that enlarges takes 94, a mark over the whole image 30.
 */
const COST_MS = {
  blur: 8,
  brightness: 1,
  contrast: 1.4,
  convert: 2.1,
  crop: 2,
  edges: 1.4,
  flip: 0.3,
  grayscale: 0.3,
  info: 2.2,
  resize: 4.6,
  rotate: 7.6,
  saturation: 1.2,
  sharpen: 10.5,
  watermark: 0.4,
};
const HOP_MS = 8;

describe('listFunctions', () => {
  it('gives the names of the files, without loading them', async () => {
    await using folder = await temporaryFolder({
      'negate.ts': 'throw new Error()',
      'README.md': '',
      'Upper.ts': '',
      'types.d.ts': '',
    });
    expect(listFunctions(folder.path)).toEqual(['negate']);
  });

  it('knows the filters that Darkroom ships', () => {
    expect(listFunctions()).toEqual(FILTERS);
    expect(Object.keys(COST_MS)).toEqual(FILTERS);
    expect(listFunctions(FUNCTIONS_DIR)).toEqual(FILTERS);
  });
});

describe('loadFunction', () => {
  it.each(FILTERS)('loads %s, and every parameter of it is described', async (name) => {
    const filter = await loadFunction(name);
    expect(filter.summary).toMatch(/^[A-Z].*\.$/);
    for (const param of describeFunction(filter).params) expect(param.description, param.name).not.toBe('');
  });

  it.each(Object.entries(COST_MS))(
    'says what %s costs beside a hop to workers of its own',
    async (name, ms) => {
      const { cost = 'heavy', ownWorkers = false } = await loadFunction(name);
      expect({ cost, ownWorkers }).toEqual({
        cost: ms <= (2 / 3) * HOP_MS ? 'light' : 'heavy',
        ownWorkers: false,
      });
    },
  );

  it.each(['../runtime/filter', 'blur.ts', 'Blur', '', 'a'.repeat(41), 'constructor', '__proto__'])(
    'refuses the name %j',
    async (name) => {
      await expect(loadFunction(name)).rejects.toMatchObject({
        failureType: 'unknown-filter',
        consequence: 'reject',
      });
    },
  );

  it('suggests the nearest name', async () => {
    await expect(loadFunction('resise')).rejects.toThrow(/got "resise"; did you mean "resize"\?/);
  });

  it.each([
    ['export const x = 1;', 'expected a default export made with defineFilter'],
    ['export default { params: {}, apply() {} };', 'expected `summary`'],
    ["export default { summary: 'x', apply() {} };", 'expected `params`'],
    ["export default { summary: 'x', params: { safeParse() {} } };", 'expected `apply`'],
    [
      "export default { summary: 'x', params: { safeParse() {} }, apply() {}, returns: 'text' };",
      "'image' or 'json', got \"text\"",
    ],
    [
      "export default { summary: 'x', params: { safeParse() {} }, apply() {}, cost: 'cheap' };",
      "'light' or 'heavy', got \"cheap\"",
    ],
    [
      "export default { summary: 'x', params: { safeParse() {} }, apply() {}, ownWorkers: 'no' };",
      'true or false, got "no"',
    ],
    ["import './missing.ts';", 'cannot be loaded'],
    ['export default {', 'cannot be loaded'],
  ])('names the file and the fault of %j', async (source, words) => {
    await using folder = await temporaryFolder({ 'broken.ts': source });
    const loading = loadFunction('broken', folder.path);
    await expect(loading).rejects.toBeInstanceOf(UserError);
    await expect(loading).rejects.toThrow(path.join(folder.path, 'broken.ts'));
    await expect(loading).rejects.toThrow(words);
  });
});

describe('parseParams', () => {
  it('fills in defaults, also for parameters that are not there', async () => {
    expect(parseParams(await loadFunction('flip'), undefined, 'params')).toEqual({ direction: 'horizontal' });
  });

  it('rejects with path, value and expectation of every fault', async () => {
    const filter = await loadFunction('blur');
    const parse = () => parseParams(filter, { radius: 'big', sigma: 2 }, 'steps[0].params');
    expect(parse).toThrow(Rejection);
    expect(parse).toThrow(
      'steps[0].params.radius: expected a number from 0 to 1000, got "big"; steps[0].params.sigma: unknown, known are radius',
    );
  });
});

async function temporaryFolder(files: Record<string, string>) {
  const folder = await mkdtemp(path.join(tmpdir(), 'darkroom-functions-'));
  for (const [name, text] of Object.entries(files)) await writeFile(path.join(folder, name), text);
  return { path: folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}

/** How many requests a task makes of an S3 storage: each is a round trip, and costs both sides processor time. */
import { describe, expect, it } from 'vitest';
import { openStorage } from '../../../runtime/storage/open.ts';
import { markerKey, removeIntermediates, writeMarker } from '../../../runtime/task/task-marker.ts';
import type { Job } from '../../../runtime/worker/protocol.ts';
import { type S3ServerOptions, startS3Server } from '../../support/s3-server.ts';
import { FLIP, GREY, openStepSite, type StepSite, stepJob } from './step-site.ts';

const HOPS = { steps: [FLIP, GREY, FLIP] };
const READ = 'GET a.png';
const MARK = `PUT ${markerKey('x', 0)}`;
const STORE = 'PUT out/x.png';

describe('the requests of a task', () => {
  it('are three for one step: input, marker, result', async () => {
    await using site = await openSite();
    expect(await site.requestsOf(stepJob({ steps: [FLIP] }))).toEqual([READ, MARK, STORE]);
  });

  it('are three for steps that are carried', async () => {
    await using site = await openSite();
    const carried = { carry: 'all' as const, fromStep: 0 };
    const requests = [];
    for (const step of [0, 1, 2])
      requests.push(...(await site.requestsOf(stepJob(HOPS, { step, ...carried }))));
    expect(requests).toEqual([READ, MARK, STORE]);
  });

  it('are two for a hop, three for the last one, and one for all that is left behind', async () => {
    await using site = await openSite();
    const [first, second] = await site.hops();

    expect(first).toEqual([READ, expect.stringMatching(/^PUT .*-step-0$/)]);
    expect(second).toEqual([
      expect.stringMatching(/^GET .*-step-0$/),
      expect.stringMatching(/^PUT .*-step-1$/),
    ]);
    expect(await site.requestsOf(stepJob(HOPS, { step: 2 }))).toEqual([
      expect.stringMatching(/^GET .*-step-1$/),
      MARK,
      STORE,
    ]);
    const removal = await site.requests(() => removeIntermediates(site.storage, stepJob(HOPS).task));
    // The server fails at times where it empties a folder; then the same is sent again.
    expect([...new Set(removal)]).toEqual(['POST /']);
    expect(await Array.fromAsync(site.storage.list('.darkroom/tasks'))).toEqual([]);
  });

  it('are one for each image where the server does not remove many at once', async () => {
    await using site = await openSite({ removesMany: false });
    await site.hops();
    const remove = () => removeIntermediates(site.storage, stepJob(HOPS).task);

    expect(await site.requests(remove)).toHaveLength(1 + 3);
    await site.hops();
    expect(await site.requests(remove)).toHaveLength(3);
    expect(await Array.fromAsync(site.storage.list('.darkroom/tasks'))).toEqual([]);
  });

  it('tell a repeat by its marker and its result that it has nothing to do', async () => {
    await using site = await openSite();
    const job = stepJob({ steps: [FLIP] });
    await site.run(job);
    expect((await site.requestsOf({ ...job, isRepeat: true })).toSorted()).toEqual(
      ['GET out/x.png', READ, MARK.replace('PUT', 'GET')].toSorted(),
    );
  });

  it('are no more for a task that was cancelled, or whose id is another one’s, and store nothing', async () => {
    await using site = await openSite();
    const cancelled = { task_id: 'x', generation: 0, fingerprint: '', time: '', data: {} };
    await writeMarker(site.storage, { ...cancelled, outcome: 'cancelled' });
    const standing = MARK.replace('PUT', 'GET');
    expect(await site.requestsOf(stepJob({ steps: [FLIP] }))).toEqual([READ, MARK, standing]);

    await site.storage.remove(markerKey('x', 0));
    await site.run(stepJob({ steps: [FLIP] }));
    const requests = await site.requestsOf(stepJob({ steps: [GREY] }));
    expect(requests.slice(0, 3)).toEqual([READ, MARK, standing]);
    expect(requests).not.toContain(STORE);
  });

  it('look before the leap until the server was seen to honour conditions, and for ever where it does not', async () => {
    const LOOK = MARK.replace('PUT', 'HEAD');
    await using unknown = await openSite({ isChecked: false });
    expect(await unknown.requestsOf(stepJob({ steps: [FLIP] }))).toEqual([READ, LOOK, MARK, STORE]);

    await using ignored = await openSite({ conditionalWrites: 'ignored' });
    expect(await ignored.requestsOf(stepJob({ steps: [FLIP] }))).toEqual([READ, LOOK, MARK, STORE]);
  });
});

interface Site extends StepSite {
  /** What `work` asks of the server, such as `GET a.png`. */
  requests(work: () => Promise<unknown>): Promise<string[]>;
  requestsOf(job: Job): Promise<string[]>;
  /** The first two of three steps. */
  hops(): Promise<string[][]>;
}

async function openSite({
  isChecked = true,
  ...options
}: S3ServerOptions & { isChecked?: boolean } = {}): Promise<Site> {
  const server = await startS3Server(options);
  const storage = await openStorage(server.url, { credentials: server.credentials });
  const site = await openStepSite(storage);
  if (isChecked) await storage.keepsFirstWrite();
  const requests = async (work: () => Promise<unknown>) => {
    const from = server.requests.length;
    await work();
    return server.requests.slice(from).map((request) => request.replace(/\/[^/]+(\/images\/)?/, ''));
  };
  const requestsOf = (job: Job) => requests(() => site.run(job));
  return {
    ...site,
    requests,
    requestsOf,
    hops: async () => [await requestsOf(stepJob(HOPS)), await requestsOf(stepJob(HOPS, { step: 1 }))],
    [Symbol.asyncDispose]: async () => {
      await site[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** Dead letters as nobody should write them: what a worker says of a failure, said by anybody and in any way. */
import fc from 'fast-check';
import { HEADERS } from '../../../runtime/task/hop.ts';
import {
  garbage,
  type MakeMessage,
  nearlyValidTask,
  validTask,
  type WildSite,
  wildProperties,
} from './messages.ts';
import { outsizeTask } from './outsize-tasks.ts';
import { spoof } from './spoofs.ts';
import { forgedDeaths, headerValue } from './wild-headers.ts';

export function wildLetter(site: WildSite): fc.Arbitrary<MakeMessage> {
  const { photo, filters } = site;
  const body = fc.oneof(
    { weight: 5, arbitrary: validTask(filters) },
    { weight: 5, arbitrary: nearlyValidTask(filters) },
    { weight: 5, arbitrary: garbage(photo) },
    { weight: 1, arbitrary: outsizeTask(filters) },
  );
  return fc
    .record({
      body,
      filter: fc.oneof(fc.constantFrom(...filters, 'none', ''), spoof()),
      headers: letterHeaders(site),
      properties: wildProperties(),
      messageId: fc.option(spoof()),
    })
    .map(({ body, filter, headers, properties, messageId }) => (unique) => {
      // One that expires would be gone before anybody could look at it.
      const { expiration: _, ...others } = properties;
      return {
        body: body(unique),
        filter,
        properties: { ...others, headers, ...(messageId !== null && { messageId }) },
      };
    });
}

function letterHeaders({ filters, queues }: WildSite): fc.Arbitrary<Record<string, unknown>> {
  const orAny = (usual: fc.Arbitrary<unknown>) =>
    fc.oneof({ weight: 4, arbitrary: usual }, { weight: 1, arbitrary: headerValue() });
  const text = fc.oneof(spoof(), fc.constantFrom('x'.repeat(3_000), '?token=hunter2'));
  const number = fc.constantFrom(0, 1, 2, 19, 20, -1, 1e6, 1e15);
  const time = fc.constantFrom('2026-01-01T00:00:00.000Z', 'yesterday', '+275760-09-13', '2026');
  return fc.record(
    {
      'darkroom-failure-type': orAny(fc.oneof(fc.constantFrom('storage', 'poison', 'task-id-reused'), text)),
      'darkroom-failure-reason': orAny(text),
      'darkroom-filter': orAny(fc.oneof(fc.constantFrom(...filters, 'none'), text)),
      'darkroom-failed-at': orAny(fc.oneof(time, text)),
      'darkroom-attempts': orAny(number),
      'darkroom-worker': orAny(text),
      'darkroom-replayed-from': orAny(text),
      [HEADERS.id]: orAny(fc.oneof(fc.constantFrom('state-0', 'state-1', 'state-2'), text)),
      [HEADERS.fingerprint]: orAny(text),
      [HEADERS.step]: orAny(number),
      [HEADERS.generation]: orAny(number),
      [HEADERS.restarts]: orAny(number),
      [HEADERS.inline]: orAny(fc.boolean()),
      [HEADERS.firstFailed]: orAny(fc.constantFrom(0, 1, -1, 1e13, 1e18)),
      [HEADERS.history]: orAny(fc.constantFrom('[]', '{', '[{"filter":1}]', 'null')),
      'x-death': orAny(forgedDeaths(queues)),
    },
    { requiredKeys: [] },
  );
}

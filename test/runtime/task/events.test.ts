import { type CloudEvent, HTTP } from 'cloudevents';
import { describe, expect, it } from 'vitest';
import { EVENT_CONTENT_TYPE, encodeEvent, eventId, type TaskEvent } from '../../../runtime/task/events.ts';

const event: TaskEvent = {
  type: 'completed',
  taskId: 'a',
  step: 2,
  generation: 0,
  attempt: 1,
  filter: 'blur',
  time: '2026-11-21T12:00:00.000Z',
  data: { output: { key: 'out/a.jpg' } },
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
};

describe('an event', () => {
  it('is a valid CloudEvent to the reference implementation', () => {
    const parsed = HTTP.toEvent({
      headers: { 'content-type': EVENT_CONTENT_TYPE },
      body: encodeEvent(event).toString(),
    }) as CloudEvent<{ task_id: string }>;

    expect(parsed.validate()).toBe(true);
    expect(parsed).toMatchObject({
      specversion: '1.0',
      type: 'darkroom.task.completed',
      subject: 'a',
      source: '/darkroom/blur',
    });
    expect(parsed.data).toMatchObject({ task_id: 'a', step: 2, output: { key: 'out/a.jpg' } });
  });

  it.each(['x'.repeat(255), '日'.repeat(85)])(
    'has an id that AMQP can carry, whatever the task’s: %s',
    (taskId) => {
      const id = eventId({ ...event, taskId });

      expect(Buffer.byteLength(id)).toBeLessThanOrEqual(255);
      expect(id).toMatch(/:end:completed$/);
      expect(eventId({ ...event, taskId: `${taskId.slice(1)}y` })).not.toBe(id);
    },
  );

  it('that ends a task has the same id from whichever copy it is told', () => {
    expect(eventId({ ...event, attempt: 0, step: 0 })).toBe(eventId(event));
    expect(eventId({ ...event, generation: 1 })).not.toBe(eventId(event));
  });

  it('of a retry is another than that of the first try', () => {
    expect(eventId({ ...event, type: 'started', attempt: 0 })).not.toBe(
      eventId({ ...event, type: 'started', attempt: 1 }),
    );
  });
});

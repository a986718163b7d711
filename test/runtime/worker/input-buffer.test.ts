import { expect, test } from 'vitest';
import { inputBuffer } from '../../../runtime/worker/input-buffer.ts';

test('gives each task the same memory once the one before has released it', () => {
  const nextRoom = inputBuffer(1_000);
  using first = nextRoom();
  const photo = first.take(100);
  first.release();
  using second = nextRoom();

  expect(second.take(120).buffer).toBe(photo.buffer);
});

test('takes a larger buffer for a larger input', () => {
  const nextRoom = inputBuffer(1_000);
  using first = nextRoom();
  first.take(100);
  first.release();
  using second = nextRoom();

  expect(second.take(900).length).toBe(900);
});

test('never shares memory that may still be in use', () => {
  const nextRoom = inputBuffer(1_000);
  const unreleased = nextRoom();
  const photo = unreleased.take(100);
  using meanwhile = nextRoom();
  const other = meanwhile.take(100);
  unreleased[Symbol.dispose]();
  using after = nextRoom();

  expect(other.buffer).not.toBe(photo.buffer);
  expect(after.take(100).buffer).not.toBe(photo.buffer);
});

test('leaves a late taker of a task that is over out of the kept buffer', () => {
  const nextRoom = inputBuffer(1_000);
  const early = nextRoom();
  early[Symbol.dispose]();
  const late = early.take(100);
  using room = nextRoom();

  expect(room.take(100).buffer).not.toBe(late.buffer);
});

test('does not keep what is larger than its bound', () => {
  const nextRoom = inputBuffer(1_000);
  using first = nextRoom();
  const large = first.take(2_000);
  first.release();
  using second = nextRoom();

  expect(large.length).toBe(2_000);
  expect(second.take(2_000).buffer).not.toBe(large.buffer);
});

/**
 * One buffer that holds each task's input in turn. A fresh one per task would be memory outside the heap, for whose
 * sake V8 collects garbage every few tasks: measured as a tenth of the time that a photo takes.
 */

/** One task's use of the buffer; disposed of without a release, the next task gets another buffer. */
export interface InputRoom extends Disposable {
  /** Room for an input of so many bytes: in the kept buffer, unless another task may still use it. */
  take(bytes: number): Buffer;
  /** Nothing reads or writes what was taken any more. */
  release(): void;
}

/** @param maxBytes larger inputs get a buffer of their own, which is not kept */
export function inputBuffer(maxBytes: number): () => InputRoom {
  let kept = Buffer.alloc(0);
  let owner: InputRoom | undefined;
  return () => {
    let over = false;
    const room: InputRoom = {
      take(bytes) {
        if (over || owner !== undefined || bytes > maxBytes) return Buffer.allocUnsafeSlow(bytes);
        owner = room;
        // Half more than is needed now, so that slightly larger photos do not each ask for a new one.
        if (bytes > kept.length) kept = Buffer.allocUnsafeSlow(Math.min(maxBytes, Math.ceil(bytes * 1.5)));
        return kept.subarray(0, bytes);
      },
      release() {
        over = true;
        if (owner === room) owner = undefined;
      },
      [Symbol.dispose]() {
        over = true;
        if (owner !== room) return;
        kept = Buffer.alloc(0);
        owner = undefined;
      },
    };
    return room;
  };
}

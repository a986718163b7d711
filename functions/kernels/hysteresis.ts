/** Canny's last step: of the candidates, those that touch a strong one, at once or by way of others, are an edge. */

const EDGE = 255;
/** A candidate that has touched no edge yet. */
const WEAK = 1;

/**
 * Sets `edges` to 255 on an edge, else to 0.
 *
 * @param candidates an entry for each candidate, each list read before the next is asked for: `index × 2`, and 1 more
 * for a strong one
 */
export function followEdges(edges: Uint8Array, width: number, candidates: Iterable<Uint32Array>): void {
  const found = joined(candidates, edges.length >>> 5);
  edges.fill(0);
  mark(edges, found);
  follow(edges, width, found);
  clearWeak(edges, found);
}

/**
 * One list of them all: loops over it run long enough to be compiled well.
 * @param expected how long it will be, roughly
 */
function joined(lists: Iterable<Uint32Array>, expected: number): Uint32Array {
  let all = new Uint32Array(expected);
  let count = 0;
  for (const list of lists) {
    if (count + list.length > all.length) {
      const larger = new Uint32Array(Math.max(count + list.length, 2 * all.length));
      larger.set(all);
      all = larger;
    }
    all.set(list, count);
    count += list.length;
  }
  return all.subarray(0, count);
}

function mark(edges: Uint8Array, list: Uint32Array): void {
  for (let i = 0; i < list.length; i++) edges[list[i]! >>> 1] = list[i]! & 1 ? EDGE : WEAK;
}

/** Makes edges of all weak candidates that the strong ones of `list` lead to. */
function follow(edges: Uint8Array, width: number, list: Uint32Array): void {
  const open: number[] = [];
  const take = (index: number) => {
    edges[index] = EDGE;
    open.push(index);
  };
  for (let i = 0; i < list.length; i++) {
    let index = list[i]! & 1 ? list[i]! >>> 1 : undefined;
    for (; index !== undefined; index = open.pop()) {
      const first = index < width ? index : index - width;
      const last = Math.min(index + width, edges.length - 1);
      for (let at = first; at <= last; at += width) {
        if (edges[at] === WEAK) take(at);
        // The remainder is slow, and most neighbours are no candidates.
        if (edges[at - 1] === WEAK && index % width > 0) take(at - 1);
        if (edges[at + 1] === WEAK && (index + 1) % width > 0) take(at + 1);
      }
    }
  }
}

function clearWeak(edges: Uint8Array, list: Uint32Array): void {
  for (let i = 0; i < list.length; i++) {
    const index = list[i]! >>> 1;
    if (edges[index] === WEAK) edges[index] = 0;
  }
}

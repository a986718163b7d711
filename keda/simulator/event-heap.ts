/** A binary heap of timed events: the earliest comes out first, in the order of insertion among equals. */

interface Entry<T> {
  atMs: number;
  order: number;
  value: T;
}

export class EventHeap<T> {
  readonly #entries: Entry<T>[] = [];
  #inserted = 0;

  /** Infinity when empty. */
  get nextMs(): number {
    return this.#entries[0]?.atMs ?? Number.POSITIVE_INFINITY;
  }

  push(atMs: number, value: T): void {
    const entries = this.#entries;
    const entry = { atMs, order: this.#inserted++, value };
    let hole = entries.push(entry) - 1;
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      const above = entries[parent] as Entry<T>;
      if (!isBefore(entry, above)) break;
      entries[hole] = above;
      hole = parent;
    }
    entries[hole] = entry;
  }

  pop(): T | undefined {
    const entries = this.#entries;
    const first = entries[0];
    const last = entries.pop();
    if (first === undefined || last === undefined) return undefined;
    if (entries.length > 0) this.#sink(last);
    return first.value;
  }

  #sink(entry: Entry<T>): void {
    const entries = this.#entries;
    const { length } = entries;
    let hole = 0;
    for (let child = 1; child < length; child = 2 * hole + 1) {
      const right = child + 1;
      if (right < length && isBefore(entries[right] as Entry<T>, entries[child] as Entry<T>)) child = right;
      const below = entries[child] as Entry<T>;
      if (!isBefore(below, entry)) break;
      entries[hole] = below;
      hole = child;
    }
    entries[hole] = entry;
  }
}

function isBefore<T>(a: Entry<T>, b: Entry<T>): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

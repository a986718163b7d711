/**
 * Time for workers in which everything that takes time waits for its turn, and the turns are given by a schedule:
 * which message is delivered, which write lands, which confirmation comes, who dies when.
 */

/** Something begun that has not happened yet. */
interface Turn {
  happen(): void;
}

/** Numbers from the schedule; when they run out, everything goes in order and nothing breaks any more. */
export interface Choices {
  /** Whether something breaks now, and which of so many things; undefined: nothing. */
  fault(kinds: number): number | undefined;
  /** One of so many. */
  pick(count: number): number;
  readonly exhausted: boolean;
}

/** Of 256 values of a schedule's byte, at most so many break something; its first byte says how many. */
const MAX_FAULTS = 80;

export function choicesOf(schedule: Uint8Array): Choices {
  let at = 1;
  const faults = (schedule[0] ?? 0) % MAX_FAULTS;
  const next = () => schedule[at++] ?? 0;
  return {
    fault(kinds) {
      if (at >= schedule.length || next() < 256 - faults) return undefined;
      return next() % kinds;
    },
    pick: (count) => (at >= schedule.length ? 0 : next() % count),
    get exhausted() {
      return at >= schedule.length;
    },
  };
}

/** The life of a process or a connection: what it has begun never happens once it is over. */
export interface Life {
  readonly over: boolean;
  end(): void;
  /** Runs `stop` at the end, or now. */
  atEnd(stop: () => void): void;
}

export function beginLife(): Life {
  const stops: (() => void)[] = [];
  let over = false;
  return {
    get over() {
      return over;
    },
    end() {
      if (over) return;
      over = true;
      for (const stop of stops) stop();
    },
    atEnd(stop) {
      if (over) stop();
      else stops.push(stop);
    },
  };
}

export interface Turns {
  /** Resolves with what `happen` gives when its turn has come; never, when `life` is over by then. */
  take<T>(life: Life, happen: () => T): Promise<T>;
  /** The same without anyone who waits. */
  later(life: Life, happen: () => void): void;
  readonly count: number;
  /** Lets the chosen one happen. */
  give(index: number): void;
}

export function createTurns(): Turns {
  const turns: Turn[] = [];
  const later = (life: Life, happen: () => void) =>
    void turns.push({
      happen() {
        if (!life.over) happen();
      },
    });
  return {
    take: (life, happen) =>
      new Promise((resolve, reject) =>
        later(life, () => {
          try {
            resolve(happen());
          } catch (error) {
            reject(error);
          }
        }),
      ),
    later,
    get count() {
      return turns.length;
    },
    give(index) {
      const [turn] = turns.splice(index, 1);
      turn?.happen();
    },
  };
}

/** Contestants that take turns, so that all of them see the same machine. */
import { note } from '../../runtime/cli/terminal.ts';
import { median } from './row.ts';

/** What does one kind of work; it is set up already, and idle between its turns. */
export interface Contestant extends AsyncDisposable {
  /** Does the work so often. @returns the figure that counts, such as images a second */
  run(count: number): Promise<number>;
}

export interface Turn {
  contestant: Contestant;
  count: number;
}

/** The median of each contestant's rounds, by its name. All run once before, which does not count. */
export async function takeTurns<Name extends string>(
  turns: Record<Name, Turn>,
  rounds: number,
): Promise<Record<Name, number>> {
  const entries = Object.entries<Turn>(turns) as [Name, Turn][];
  const figures = new Map<Name, number[]>(entries.map(([name]) => [name, []]));
  for (const [, { contestant, count }] of entries) await contestant.run(count);
  for (let round = 0; round < rounds; round++) {
    note(`  round ${round + 1} of ${rounds}`);
    // Nobody always comes after the same one.
    const start = round % entries.length;
    for (const [name, { contestant, count }] of [...entries.slice(start), ...entries.slice(0, start)])
      figures.get(name)!.push(await contestant.run(count));
  }
  return Object.fromEntries([...figures].map(([name, values]) => [name, median(values)])) as Record<
    Name,
    number
  >;
}

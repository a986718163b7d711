/** A room is what lies in a top folder: a folder with all that it holds, or a file. */
import type { SourceSummary } from './source-summary.ts';

/** `runtime/worker` for all in that folder, `runtime/errors.ts` for that file. */
export function roomOf(path: string): string {
  return path.split('/').slice(0, 2).join('/');
}

/** Rooms of which each imports the next, and the last the first. */
export interface ImportCircle {
  rooms: string[];
  /** For each step of the circle one import, as `from → to`. */
  imports: string[];
}

/** One circle, the shortest, for each room that is in any and was not named yet. */
export function importCircles(sources: SourceSummary[]): ImportCircle[] {
  const imports = importsBetweenRooms(sources);
  const told = new Set<string>();
  const circles: ImportCircle[] = [];
  for (const room of imports.keys()) {
    const rooms = told.has(room) ? undefined : shortestWay(imports, room, room);
    if (rooms === undefined) continue;
    for (const one of rooms) told.add(one);
    circles.push({
      rooms,
      imports: rooms.map((from, at) => imports.get(from)!.get(rooms[(at + 1) % rooms.length]!)!),
    });
  }
  return circles;
}

type RoomImports = Map<string, Map<string, string>>;

/** For each room the rooms that it imports, each with one import as example. */
function importsBetweenRooms(sources: SourceSummary[]): RoomImports {
  const between: RoomImports = new Map();
  for (const { path, imports } of sources) {
    const from = roomOf(path);
    for (const imported of imports) {
      const to = roomOf(imported);
      if (to === from) continue;
      const known = between.get(from) ?? new Map<string, string>();
      between.set(from, known.set(to, known.get(to) ?? `${path} → ${imported}`));
    }
  }
  return between;
}

/** The rooms from `start` until before `end`, by breadth first; undefined when there is no way. */
function shortestWay(imports: RoomImports, start: string, end: string): string[] | undefined {
  const ways = [[start]];
  const seen = new Set<string>();
  for (const way of ways) {
    for (const next of imports.get(way.at(-1)!)?.keys() ?? []) {
      if (next === end) return way;
      if (seen.has(next)) continue;
      seen.add(next);
      ways.push([...way, next]);
    }
  }
  return undefined;
}

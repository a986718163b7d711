/** Rewrites a source so that each of its functions reports its start. No line moves. */
import { type FunctionSpan, summarizeSource } from './source-summary.ts';

/** The global function that a marked function calls first, with what `entryOf` reads. */
export const ENTRY_REPORTER = '__functionEntered';

export interface FunctionEntry {
  path: string;
  line: number;
  name: string;
}

export function markEntries(path: string, text: string): string {
  const insertions = summarizeSource(path, text).functions.flatMap((span) => insertionsFor(path, span));
  let marked = '';
  let at = 0;
  // Two at one place stay in order, since sorting is stable: an outer function starts before its inner ones.
  for (const insertion of insertions.sort((a, b) => a.at - b.at)) {
    marked += text.slice(at, insertion.at) + insertion.text;
    at = insertion.at;
  }
  return marked + text.slice(at);
}

/** Reads what a marked function reports. */
export function entryOf(report: string): FunctionEntry {
  const [path, line, name] = report.split('\t');
  return { path: path!, line: Number(line), name: name! };
}

function insertionsFor(path: string, { name, line, body }: FunctionSpan): { at: number; text: string }[] {
  const report = `${ENTRY_REPORTER}(${JSON.stringify([path, line, name].join('\t'))})`;
  if (!body.isExpression) return [{ at: body.start + 1, text: `${report};` }];
  return [
    { at: body.start, text: `(${report}, ` },
    { at: body.end, text: ')' },
  ];
}

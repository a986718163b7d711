/** Draws what the autoscaler does, for a terminal. */
import type { WorkersView } from '../../keda/scaled-workers.ts';
import { dim, escapeControls } from './terminal.ts';

const BAR_CHARACTERS = 10;

/** One line a filter: what waits, what is in work, who works. */
export function renderScaling(views: WorkersView[]): string {
  const shown = views.filter(
    ({ ready, unacked, wanted, running, draining, settled }) =>
      ready + unacked + wanted + running + draining + settled > 0,
  );
  if (shown.length === 0) return dim(`all ${views.length} filters at zero workers, all queues empty`);
  const width = Math.max(...shown.map(({ filter }) => filter.length));
  return shown.map((view) => `${view.filter.padEnd(width)}  ${lineOf(view)}`).join('\n');
}

/** For where lines cannot be drawn over: the sums of all filters. */
export function scalingSummary(views: WorkersView[]): string {
  const sum = (of: (view: WorkersView) => number) => views.reduce((total, view) => total + of(view), 0);
  return `workers ${sum(({ running }) => running)}, waiting ${sum(({ ready }) => ready)}, in work ${sum(({ unacked }) => unacked)}`;
}

function lineOf(view: WorkersView): string {
  return [
    workers(view),
    `waiting ${String(view.ready).padStart(5)}`,
    `in work ${String(view.unacked).padStart(3)}`,
    `${view.perSecond.toFixed(1).padStart(6)}/s`,
    dim(escapeControls(view.error ?? view.reason)),
  ].join('  ');
}

function workers({ running, draining, wanted }: WorkersView): string {
  const bar = '●'.repeat(Math.min(running, BAR_CHARACTERS)) + '◌'.repeat(Math.min(draining, BAR_CHARACTERS));
  return `${String(wanted).padStart(2)} workers ${bar.padEnd(BAR_CHARACTERS)}`;
}

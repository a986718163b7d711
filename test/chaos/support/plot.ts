/** A small SVG of lines over minutes, one panel each, with axes that begin at zero. */

export interface Line {
  name: string;
  unit: string;
  points: [minutes: number, value: number][];
}

const WIDTH = 720;
const PANEL_HEIGHT = 130;
const LEFT = 60;
const RIGHT = 20;
const TOP = 40;
const GAP = 46;
const TICKS = 4;
/** More points than pixels only make the file larger. */
const MAX_POINTS = 600;

export function plot(title: string, lines: Line[]): string {
  const height = TOP + lines.length * (PANEL_HEIGHT + GAP);
  const panels = lines.map((line, index) => panel(line, TOP + index * (PANEL_HEIGHT + GAP)));
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="11" fill="#333">
<rect width="100%" height="100%" fill="#fff"/>
<text x="${LEFT}" y="20" font-size="14">${title}</text>
${panels.join('\n')}
</svg>
`;
}

function panel({ name, unit, points }: Line, top: number): string {
  const maxX = Math.max(...points.map(([x]) => x));
  const maxY = niceCeiling(Math.max(...points.map(([, y]) => y), 1));
  const x = (minutes: number) => LEFT + (minutes / maxX) * (WIDTH - LEFT - RIGHT);
  const y = (value: number) => top + 16 + (1 - value / maxY) * (PANEL_HEIGHT - 16);
  const each = Math.ceil(points.length / MAX_POINTS);
  const path = points
    .filter((_, n) => n % each === 0)
    .map(([minutes, value]) => `${x(minutes).toFixed(1)},${y(value).toFixed(1)}`);
  const rows = Array.from({ length: TICKS + 1 }, (_, n) => (maxY * n) / TICKS).map(
    (value) =>
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(value)}" y2="${y(value)}" stroke="#ddd"/><text x="${LEFT - 6}" y="${y(value) + 4}" text-anchor="end">${Number(value.toFixed(1))}</text>`,
  );
  const columns = Array.from({ length: TICKS + 1 }, (_, n) => (maxX * n) / TICKS).map(
    (minutes) =>
      `<text x="${x(minutes)}" y="${top + PANEL_HEIGHT + 14}" text-anchor="middle">${minutes.toFixed(0)} min</text>`,
  );
  return `<text x="${LEFT}" y="${top + 6}" font-size="12">${name}${unit && `, ${unit}`}</text>
${[...rows, ...columns].join('\n')}
<polyline points="${path.join(' ')}" fill="none" stroke="#1f6fb2" stroke-width="1.2"/>`;
}

/** 1, 2, 2.5 or 5 times a power of ten. */
function niceCeiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * ([1, 2, 2.5, 5, 10].find((factor) => factor * power >= value) ?? 10);
}

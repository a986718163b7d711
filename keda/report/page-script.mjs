/**
 * Draws each chart of a page with uPlot from the table beside it, and moves one cursor through all of them by mouse,
 * finger or arrow keys. It runs in the browser; render-report.ts puts it into the page.
 */

const HEIGHT_PX = 230;
const Y_AXIS_PX = 50;
const X_AXIS_PX = 30;
const TIME_LABEL_PX = 70;
const TIP_GAP_PX = 14;
/** The end of a colour that lets most of what lies under it through. */
const AREA_ALPHA = '24';
/** In hundredths of the chart's width. */
const KEY_STEPS = { ArrowLeft: -0.5, ArrowRight: 0.5, PageUp: -5, PageDown: 5 };
/** The cursor still shows a series so long after its last value. */
const HELD_SECONDS = 1;

const plots = [...document.querySelectorAll('.chart')].map(drawChart);
// A canvas, unlike the rest of the page, keeps the colours it was drawn with.
matchMedia('screen and (prefers-color-scheme: dark)').addEventListener('change', () => {
  for (const plot of plots) plot.redraw(false);
});

function drawChart(card) {
  const drawing = JSON.parse(card.querySelector('script').textContent);
  const details = card.querySelector('details');
  const place = card.querySelector('.plot');
  const rows = [...details.querySelectorAll('tbody tr')];
  place.hidden = false;
  const options = chartOptions(drawing, rows, place.clientWidth);
  const plot = new uPlot(options, columnsOf(rows, drawing.series.length + 1), place);
  details.open = false;
  new ResizeObserver(() => plot.setSize({ width: place.clientWidth, height: HEIGHT_PX })).observe(place);
  followKeysAndFinger(plot, place);
  return plot;
}

/** What uPlot takes: the times in seconds, then the values of each series. */
function columnsOf(rows, count) {
  const columns = Array.from({ length: count }, () => []);
  for (const { cells } of rows) {
    columns[0].push(cellSeconds(cells[0].textContent));
    for (let n = 1; n < count; n++) columns[n].push(cellValue(cells[n].textContent, columns[n].at(-1)));
  }
  return columns;
}

/** @param time `0:04:28.5` */
function cellSeconds(time) {
  return time.split(':').reduce((sum, part) => sum * 60 + Number(part), 0);
}

/** A dash is a gap (null) up to the next value; an empty cell belongs to another series' time (undefined). */
function cellValue(text, previous) {
  if (text === '') return previous === null ? null : undefined;
  return text === '–' ? null : Number(text.replaceAll(',', ''));
}

function chartOptions({ endSeconds, xTicks, yTicks, unit, series }, rows, width) {
  const colorOf = (n) => `var(--${series[n - 1]?.color})`;
  return {
    width,
    height: HEIGHT_PX,
    padding: [10, 18, 0, 0],
    scales: {
      x: { time: false, range: () => [0, endSeconds] },
      y: { range: () => [0, yTicks.at(-1).at] },
    },
    axes: [axis(X_AXIS_PX, (plot) => thinned(xTicks, plot.width)), axis(Y_AXIS_PX, () => yTicks)],
    series: [
      { value: (_plot, _seconds, _n, row) => rows[row]?.cells[0].textContent },
      ...series.map((one) => seriesOptions(one, unit, rows)),
    ],
    cursor: {
      y: false,
      drag: { x: false, y: false },
      sync: { key: 'page' },
      dataIdx: rowUnderCursor,
      points: { size: 8, width: 1.5, fill: (_plot, n) => colorOf(n), stroke: () => 'var(--card)' },
    },
    legend: {
      mount: (plot, tip) => plot.over.append(tip),
      markers: {
        stroke: (_plot, n) => colorOf(n),
        fill: () => 'none',
        dash: (_plot, n) => (series[n - 1].dashed ? 'dashed' : 'solid'),
      },
    },
    hooks: { ready: [placeTip], setCursor: [placeTip] },
  };
}

function axis(size, ticksOf) {
  return {
    size,
    gap: 6,
    font: '12px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif',
    splits: (plot) => ticksOf(plot).map(({ at }) => at),
    values: (plot) => ticksOf(plot).map(({ label }) => label),
    stroke: () => cssColor('soft'),
    grid: { width: 1, stroke: () => cssColor('faint') },
    ticks: { show: false },
  };
}

/** As many as have room for their labels. */
function thinned(ticks, width) {
  const each = Math.ceil((ticks.length * TIME_LABEL_PX) / width);
  return ticks.filter((_, index) => index % each === 0);
}

function seriesOptions({ name, color, shape, dashed }, unit, rows) {
  return {
    label: name,
    width: 1.8,
    stroke: () => cssColor(color),
    fill: shape === 'area' ? () => cssColor(color) + AREA_ALPHA : undefined,
    dash: dashed ? [5, 4.5] : undefined,
    paths: shape === 'step' ? uPlot.paths.stepped({ align: 1, alignGaps: 1 }) : uPlot.paths.linear(),
    points: { show: false },
    value: (_plot, value, n, row) => (value == null ? '–' : `${rows[row].cells[n].textContent} ${unit}`),
  };
}

function cssColor(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`);
}

/** The row that holds at the cursor: a series' last one up to there, none after its end. */
function rowUnderCursor(plot, n, nearest, seconds) {
  const [times] = plot.data;
  const values = plot.data[n];
  let row = times[nearest] > seconds && nearest > 0 ? nearest - 1 : nearest;
  if (n === 0) return row;
  const last = values.findLastIndex((value) => value !== undefined);
  if (seconds > times[last] + HELD_SECONDS) return null;
  while (row > 0 && values[row] === undefined) row--;
  return row;
}

/** uPlot's legend, with the values under the cursor, beside the cursor. */
function placeTip({ root, over, cursor: { left, idx } }) {
  const tip = root.querySelector('.u-legend');
  tip.hidden = idx == null;
  if (tip.hidden) return;
  const right = left + TIP_GAP_PX;
  const fits = right + tip.offsetWidth <= over.clientWidth;
  const at = fits ? right : Math.max(-Y_AXIS_PX, left - TIP_GAP_PX - tip.offsetWidth);
  tip.style.transform = `translateX(${Math.round(at)}px)`;
}

function followKeysAndFinger(plot, place) {
  const moveTo = (left) => plot.setCursor({ left, top: 0 }, true, true);
  plot.over.addEventListener('pointermove', ({ pointerType, offsetX }) => {
    if (pointerType !== 'mouse') moveTo(offsetX);
  });
  place.addEventListener('blur', () => moveTo(-1));
  place.addEventListener('keydown', (event) => {
    const step = KEY_STEPS[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const width = plot.over.clientWidth;
    moveTo(Math.min(width, Math.max(0, plot.cursor.left) + (step * width) / 100));
  });
}

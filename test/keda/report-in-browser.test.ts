import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { renderReport } from '../../keda/report/render-report.ts';
import { evenly, type ReportPanel } from '../../keda/report/report.ts';
import { findChromium, type OpenPage, openPage } from '../support/browser.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const executablePath = findChromium();
if (executablePath === undefined)
  console.warn('The charts are NOT tried in a browser: that needs Chromium (apt-get install chromium).');

const PANELS: ReportPanel[] = [
  {
    title: 'Replicas',
    unit: 'pods',
    series: [
      { name: 'measured', ...evenly(1_000, [0, 2, 2, 2, 2]), color: 'blue', shape: 'step' },
      { name: 'predicted', ...evenly(2_000, [1, Number.NaN, 1]), color: 'rose', dashed: true },
    ],
  },
  {
    title: 'Queue',
    unit: 'messages',
    series: [{ name: 'waiting', ...evenly(1_000, [9_000, 8_000, 0]), color: 'amber', shape: 'area' }],
  },
  { title: 'Nothing', unit: 'x', series: [] },
];

let browser: Browser;

describe.skipIf(executablePath === undefined)('the page in a browser', () => {
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath });
  });
  afterAll(() => browser.close());

  test('draws all charts without an error and without asking for anything', async () => {
    await using opened = await openReport();

    expect(await opened.page.locator('canvas').count()).toBe(PANELS.length);
    expect(await opened.page.locator('details[open]').count()).toBe(0);
    expect(opened.complaints).toEqual([]);
  });

  test('shows in all charts what holds at the mouse', async () => {
    await using opened = await openReport();

    await hover(opened.page, 0.3);

    await expect
      .poll(() => tips(opened.page))
      .toEqual([
        ['0:00:01', 'measured 2 pods', 'predicted 1 pods'],
        ['0:00:01', 'waiting 8,000 messages'],
      ]);
  });

  test('shows a dash in a gap, and after the end of a series', async () => {
    await using opened = await openReport();

    await hover(opened.page, 0.8);

    await expect
      .poll(() => tips(opened.page))
      .toEqual([
        ['0:00:03', 'measured 2 pods', 'predicted –'],
        ['0:00:02', 'waiting –'],
      ]);
  });

  test('moves the cursor by arrow keys, and puts it away with the focus', async () => {
    await using opened = await openReport();
    const [plot] = await opened.page.locator('.plot').all();

    await plot?.focus();
    for (let press = 0; press < 6; press++) await plot?.press('PageDown');

    expect((await tips(opened.page)).map(([time]) => time)).toEqual(['0:00:01', '0:00:01']);
    await plot?.blur();
    expect(await tips(opened.page)).toEqual([]);
  });

  test('draws a step as a step', async () => {
    await using opened = await openReport();

    const ahead = await coloredRows(opened.page, 0.5 / 4, 'blue');
    const rise = await coloredRows(opened.page, 1 / 4, 'blue');

    // Along at the old height, then up at one place.
    expect(ahead.length).toBeLessThan(6);
    expect(rise.length).toBeGreaterThan(100);
  });

  test('follows when the system turns dark', async () => {
    await using opened = await openReport({ colorScheme: 'light' });
    const blue = "getComputedStyle(document.documentElement).getPropertyValue('--blue')";
    const light = await opened.page.evaluate(blue);
    expect(await coloredRows(opened.page, 1 / 4, 'blue')).not.toEqual([]);

    await opened.page.emulateMedia({ colorScheme: 'dark' });

    await expect.poll(() => coloredRows(opened.page, 1 / 4, 'blue')).not.toEqual([]);
    expect(await opened.page.evaluate(blue)).not.toBe(light);
  });

  test('fits a phone', async () => {
    await using opened = await openReport({ viewport: { width: 360, height: 740 }, hasTouch: true });

    const beyond = 'document.documentElement.scrollWidth - window.innerWidth';
    expect(await opened.page.evaluate(beyond)).toBe(0);
    expect(await opened.page.evaluate('document.querySelector("canvas").clientWidth')).toBeLessThan(340);
  });

  test('is tables without JavaScript', async () => {
    await using opened = await openReport({ javaScriptEnabled: false });

    expect(await opened.page.locator('.plot:visible').count()).toBe(0);
    expect(await opened.page.locator('.values td:visible').allTextContents()).toContain('8,000');
    expect(opened.complaints).toEqual([]);
  });
});

async function openReport(options?: BrowserContextOptions): Promise<OpenPage> {
  await using folder = await temporaryFolder();
  const file = join(folder.path, 'report.html');
  await writeFile(
    file,
    renderReport({ title: 'Burst', subtitle: 'blur', figures: [], panels: PANELS, tables: [] }),
  );
  return await openPage(browser, file, options);
}

/** Puts the mouse on the first chart, at a share of its time axis. */
async function hover(page: Page, share: number): Promise<void> {
  const box = await page.locator('.u-over').first().boundingBox();
  if (box === null) throw new Error('there is no chart');
  await page.mouse.move(box.x + share * box.width, box.y + box.height / 2);
}

/** What is shown beside the cursor, chart by chart, line by line. */
async function tips(page: Page): Promise<string[][]> {
  const shown = await page.locator('.u-legend:visible').all();
  return Promise.all(
    shown.map(async (tip) => {
      const lines = await tip.locator('tr').all();
      return Promise.all(lines.map(async (line) => (await line.innerText()).trim().replace(/\s+/g, ' ')));
    }),
  );
}

/** Pixels of a colour in the first chart, from top to bottom at a share of its time axis. */
function coloredRows(page: Page, share: number, color: string): Promise<number[]> {
  const look = `({ share, color }) => {
    const canvas = document.querySelector('canvas');
    const over = document.querySelector('.u-over');
    const hex = getComputedStyle(document.documentElement).getPropertyValue('--' + color);
    const wanted = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
    const x = Math.round((over.offsetLeft + share * over.clientWidth) * devicePixelRatio);
    const { data } = canvas.getContext('2d').getImageData(x - 1, 0, 3, canvas.height);
    const isClose = (at) => wanted.every((part, n) => Math.abs(data[at + n] - part) < 40) && data[at + 3] > 150;
    return Array.from({ length: canvas.height }, (_, y) => y).filter((y) => [0, 1, 2].some((x) => isClose((y * 3 + x) * 4)));
  }`;
  return page.evaluate(`(${look})(${JSON.stringify({ share, color })})`);
}

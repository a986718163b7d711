/** The page's only script: a cursor that moves through all charts together, by mouse, finger or arrow keys. */

export const HOVER_SCRIPT = `
(() => {
  const charts = [...document.querySelectorAll('.chart')].map((card) => {
    const [top, height] = card.dataset.y.split(' ').map(Number);
    return {
      svg: card.querySelector('.plot svg'), plot: card.querySelector('.plot'), tip: card.querySelector('.tip'),
      cursor: card.querySelector('.cursor'), ...JSON.parse(card.querySelector('script').textContent),
      left: +card.dataset.left, span: +card.dataset.plot, width: +card.dataset.width,
      max: +card.dataset.top, end: +card.dataset.end, top, height,
    };
  });
  const label = (ms) => {
    const s = Math.round(ms / 1000), h = Math.floor(s / 3600), m = Math.floor(s / 60) % 60;
    return h ? h + ' h ' + String(m).padStart(2, '0') + ' min' : m ? m + ' min ' + String(s % 60).padStart(2, '0') + ' s' : s + ' s';
  };
  const indexAt = (times, ms) => {
    let low = 0, high = times.length - 1;
    while (low < high) { const mid = (low + high + 1) >> 1; if (times[mid] <= ms) low = mid; else high = mid - 1; }
    return low;
  };
  const number = (value) => value === null ? '–' : value >= 100 ? Math.round(value).toLocaleString('en') : String(+value.toPrecision(3));
  const show = (ms, active) => {
    for (const chart of charts) {
      const x = chart.left + (ms / chart.end) * chart.span;
      chart.cursor.removeAttribute('hidden');
      const line = chart.cursor.querySelector('line');
      line.setAttribute('x1', x); line.setAttribute('x2', x);
      const rows = chart.series.map((series, n) => {
        const value = series.values[indexAt(series.times, ms)] ?? null;
        const beyond = ms > series.times[series.times.length - 1] + 1000;
        const dot = chart.cursor.querySelectorAll('circle')[n];
        dot.style.display = value === null || beyond ? 'none' : '';
        dot.setAttribute('cx', x);
        dot.setAttribute('cy', chart.top + chart.height * (1 - Math.min(value ?? 0, chart.max) / chart.max));
        return [series, beyond ? null : value];
      });
      chart.tip.replaceChildren(Object.assign(document.createElement('time'), { textContent: label(ms) }), ...rows.map(([series, value]) => {
        const row = document.createElement('div');
        row.innerHTML = '<i></i><span></span><b></b>';
        row.children[0].className = series.color;
        row.children[1].textContent = series.name;
        row.children[2].textContent = number(value) + (value === null ? '' : ' ' + chart.unit);
        return row;
      }));
      chart.tip.hidden = false;
      const scale = chart.svg.clientWidth / chart.width;
      const at = x * scale, room = chart.plot.clientWidth;
      const beside = at + 14 + chart.tip.offsetWidth > room ? at - 14 - chart.tip.offsetWidth : at + 14;
      chart.tip.style.transform = 'translate(' + Math.max(0, beside) + 'px,' + chart.top * scale + 'px)';
      chart.tip.classList.toggle('quiet', chart !== active);
    }
  };
  const hide = () => { for (const { cursor, tip } of charts) { cursor.setAttribute('hidden', ''); tip.hidden = true; } };
  for (const chart of charts) {
    let ms = 0;
    chart.svg.addEventListener('pointermove', (event) => {
      const box = chart.svg.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * chart.width;
      ms = Math.min(chart.end, Math.max(0, ((x - chart.left) / chart.span) * chart.end));
      show(ms, chart);
    });
    chart.svg.addEventListener('pointerleave', hide);
    chart.svg.addEventListener('blur', hide);
    chart.svg.addEventListener('keydown', (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
      if (!step) return;
      event.preventDefault();
      ms = Math.min(chart.end, Math.max(0, ms + (step * chart.end) / 200));
      show(ms, chart);
    });
  }
})();
`;

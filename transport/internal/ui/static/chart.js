// A chart of values over time: uPlot in the colours of the style sheet, below a legend of a fixed
// size, so that nothing moves when values change.

import uPlot from './vendor/uplot.js';
import { html, useEffect, useLayoutEffect, useMemo, useRef } from './components.js';
import { amount, latency } from './units.js';

const height = 128;
const thousands = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6];

// A unit says how values are written, where the lines of the axis may be, and the least that the
// top of the axis stands for.
const units = {
  count: { text: amount, steps: thousands, least: 3 },
  rate: { text: amount, steps: [0.1, 0.2, 0.5, ...thousands], least: 0.3 },
  latency: {
    text: latency,
    steps: [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 3e4, 6e4, 12e4, 3e5, 6e5, 12e5, 18e5, 36e5],
    least: 0.3,
  },
};

// Chart draws `series`, each {key, label, tone, fill, bars}, of `data`: {at: seconds, KEY: values};
// null is a gap. The legend shows the values at the index `at`, of the newest step if that is
// null. onAt gets the index below the pointer, or null.
export function Chart({ title, per, note, unit, series, data, at, onAt, theme }) {
  const place = useRef();
  const plot = useRef();
  const report = useRef(onAt);
  report.current = onAt;
  const rows = useMemo(() => [data.at, ...stacked(series, data)], [data]);

  useLayoutEffect(() => {
    const node = place.current;
    const u = new uPlot(options(unit, series, node.clientWidth, report), rows, node);
    plot.current = u;
    const sized = new ResizeObserver(() => u.setSize({ width: node.clientWidth, height }));
    sized.observe(node);
    return () => {
      sized.disconnect();
      u.destroy();
    };
  }, [theme]);
  useLayoutEffect(() => plot.current.setData(rows), [data]);
  useEffect(() => mark(plot.current, at), [at, data, theme]);

  const shown = at === null ? newest(rows) : barAt(data[series[0].key], at);
  const values = series.map((s) => ({ ...s, text: units[unit].text(data[s.key][shown] ?? NaN) }));
  return html`<figure class="chart">
    <figcaption>
      <span class="chart-title" title=${note}>${title} <span class="faint">${per}</span></span>
      ${values.map((v) => html`<span key=${v.key} class="key"><i class=${`swatch tone-${v.tone}`} aria-hidden="true"></i>${v.label} <b class="number">${v.text}</b></span>`)}
    </figcaption>
    <div class="plot" ref=${place} role="img" aria-label=${spoken(`${title} ${per}`, note, values, rows)}></div>
  </figure>`;
}

// stacked adds to each series of bars those after it, so that bars drawn over each other are a stack.
function stacked(series, data) {
  if (!series[0].bars) return series.map((s) => data[s.key]);
  return series.map((_, i) => data.at.map((_at, t) => {
    const values = series.slice(i).map((s) => data[s.key][t]);
    return (values[0] ?? null) === null ? values[0] : values.reduce((sum, v) => sum + v, 0);
  }));
}

// newest is the last index at which a series has a value.
function newest(rows) {
  let i = rows[0].length - 1;
  while (i > 0 && rows.slice(1).every((values) => (values[i] ?? null) === null)) i -= 1;
  return i;
}

// barAt is the index of the bar that an index is part of.
function barAt(values, at) {
  let i = at;
  while (i > 0 && values[i] === undefined) i -= 1;
  return i;
}

function spoken(title, note, values, rows) {
  const known = rows.slice(1).some((row) => row.some((v) => (v ?? null) !== null));
  return `${title}. ${note}. ${known ? values.map((v) => `${v.label} ${v.text}`).join(', ') : 'No values yet'}.`;
}

function mark(u, at) {
  if (at === null) u.setCursor({ left: -10, top: -10 }, false);
  else u.setCursor({ left: u.valToPos(u.data[0][at], 'x'), top: 4 }, false);
}

function options(unit, series, width, report) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const { text, steps, least } = units[unit];
  let step = steps[0]; // between the lines of the axis
  const upTo = (max) => {
    const most = Math.max(max ?? 0, least);
    step = steps.find((s) => s * 3 >= most) ?? most / 3;
    return Math.ceil(most / step + 0.02) * step;
  };
  const axis = {
    stroke: colour('--ink-soft'), font: `11px ${getComputedStyle(document.body).fontFamily}`,
    grid: { stroke: colour('--line'), width: 1 }, ticks: { show: false },
  };
  return {
    width, height, padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: series[0].bars ? { show: false } : { size: 6 } },
    scales: { x: { time: true }, y: { range: (u, min, max) => [0, upTo(max)] } },
    axes: [
      { ...axis, size: 20, gap: 4, space: 48, values: (u, ticks) => ticks.map(minute) },
      { ...axis, size: 52, gap: 6, splits: (u, i, min, max) => Array.from({ length: Math.round(max / step) + 1 }, (_, n) => n * step), values: (u, ticks) => ticks.map(text) },
    ],
    series: [{}, ...series.map((s) => line(s, colour(`--chart-${s.tone}`), Math.max(1, ((width - 60) / 60) * 0.7)))],
    hooks: { setCursor: [(u) => report.current(u.cursor.left < 0 ? null : u.cursor.idx)] },
  };
}

const minute = (seconds) => new Date(seconds * 1000).toLocaleTimeString('sv', { hour: '2-digit', minute: '2-digit' });

function line(s, stroke, thick) {
  return {
    label: s.label, stroke, width: s.bars ? 0 : 1.5,
    fill: s.bars ? stroke : s.fill ? `${stroke}26` : undefined,
    paths: s.bars ? uPlot.paths.bars({ size: [1, thick, thick], align: 1 }) : undefined,
    points: s.bars ? { show: false } : { size: 4, width: 0, fill: stroke, filter: alone },
  };
}

// alone chooses the values that no line shows: those between two gaps.
function alone(u, index) {
  const values = u.data[index];
  const found = [];
  for (let i = 0; i < values.length; i += 1) {
    if (values[i] !== null && (values[i - 1] ?? null) === null && (values[i + 1] ?? null) === null) found.push(i);
  }
  return found;
}

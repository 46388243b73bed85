// Numbers on charts and beside them.

const trim = (n, digits) => String(Number(n.toFixed(digits)));

// latency writes milliseconds with three digits or fewer: 420 µs, 1.2 ms, 12 ms, 3.5 s, 4 min 10 s.
export function latency(ms) {
  if (!Number.isFinite(ms)) return '–';
  if (ms === 0) return '0 ms';
  if (ms < 0.9995) return `${trim(ms * 1000, ms < 0.01 ? 1 : 0)} µs`;
  if (ms < 10) return `${trim(ms, 1)} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${trim(ms / 1000, 1)} s`;
  const seconds = Math.round(ms / 1000);
  const [h, min, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  if (h) return min ? `${h} h ${min} min` : `${h} h`;
  return s ? `${min} min ${s} s` : `${min} min`;
}

// amount shortens a number from ten thousand on: 0.4, 9,400, 12.5k, 3.1M.
export function amount(n) {
  if (!Number.isFinite(n)) return '–';
  if (n >= 1e9) return `${trim(n / 1e9, 1)}G`;
  if (n >= 1e6) return `${trim(n / 1e6, 1)}M`;
  if (n >= 1e4) return `${trim(n / 1e3, 1)}k`;
  return n.toLocaleString('en', { maximumFractionDigits: n < 10 ? 1 : 0 });
}

// whole writes every digit, in groups of three.
export const whole = (n) => (Number.isFinite(n) ? n.toLocaleString('en') : '–');

// plural writes a number with its noun.
export const plural = (n, one, many = `${one}s`) => `${whole(n)} ${n === 1 ? one : many}`;

// clock is the local time of day, with seconds.
export const clock = (ms) => new Date(ms).toLocaleTimeString('sv');

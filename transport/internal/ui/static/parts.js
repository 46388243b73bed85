// Parts that several screens share, besides those of components.js.

import { Problem, html, useEffect, useState } from './components.js';

// useTheme returns another value whenever the colours change, for what is drawn on a canvas.
export function useTheme() {
  const [theme, set] = useState(0);
  useEffect(() => {
    const changed = () => set((n) => n + 1);
    const system = matchMedia('(prefers-color-scheme: dark)');
    const chosen = new MutationObserver(changed);
    system.addEventListener('change', changed);
    chosen.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] });
    return () => {
      system.removeEventListener('change', changed);
      chosen.disconnect();
    };
  }, []);
  return theme;
}

// Stale says that what is shown is old, or that the server refuses to show it.
export function Stale({ live, shown }) {
  if (live.error.status) return html`<${Problem} error=${live.error} />`;
  return html`<div class="banner" role="status">No connection to the server.${shown ? ' What is shown may be out of date.' : ''}</div>`;
}

// LockLink leads to a lock on the screen of the locks.
export const LockLink = ({ name }) => html`<a class="lock-name" href=${`#/locks?lock=${encodeURIComponent(name)}`} title=${name}><bdi>${name}</bdi></a>`;

// Stat is a number with its name, within Stats.
export const Stat = ({ label, value, note, tone }) => html`<div class="stat">
  <dt>${label}</dt><dd><span class=${`value number ${tone || ''}`}>${value}</span>${note && html`<small>${note}</small>`}</dd></div>`;

// Stats is a row of numbers.
export const Stats = ({ label, children }) => html`<dl class="stats" aria-label=${label}>${children}</dl>`;

// Meter is a bar; what it shows is also in words beside it. part: the share that is drawn stronger.
export function Meter({ value, part, most, tone = 'a' }) {
  const width = (v) => `${(Math.min(1, most ? v / most : 0) * 100).toFixed(1)}%`;
  return html`<span class=${`meter tone-${tone}`} aria-hidden="true">
    <i style=${{ width: width(value) }}></i>${part > 0 && html`<i class="part" style=${{ width: width(part) }}></i>`}</span>`;
}

// Bars lists rows with a bar each: {key, name, value, part, text, note, tone}.
export function Bars({ rows, most, empty }) {
  if (!rows.length) return html`<p class="nothing faint">${empty}</p>`;
  return html`<ol class="bars">${rows.slice(0, 8).map((r) => html`<li key=${r.key}>
    <span class="name"><${LockLink} name=${r.name} /></span><b class="number">${r.text}</b>
    <${Meter} value=${r.value} part=${r.part} most=${most} tone=${r.tone} />
    <small class="faint">${r.note}</small></li>`)}</ol>`;
}

// Copy shows a text shortened, and copies all of it.
export function Copy({ text, shown = text, label }) {
  const [done, set] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      set(true);
      setTimeout(() => set(false), 1500);
    } catch { /* without a clipboard, the title has the text */ }
  };
  return html`<button type="button" class="copy" title=${`${text}\nClick to copy`} onClick=${copy}><span class="hidden">Copy ${label}: </span><code>${shown}</code><span role="status">${done ? ' copied' : ''}</span></button>`;
}

// save offers a text as a file.
export function save(text, type, filename) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = filename;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

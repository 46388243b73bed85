import { html, Empty } from '../components.js';

function View() {
  return html`<${Empty} title="Contention is not here yet." />`;
}

export default { id: 'contention', title: 'Contention', needs: 'read', View };
